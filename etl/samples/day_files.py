"""The files of built days: written aside all at once, balanced, then published day by day."""

import fcntl
import hashlib
import json
import math
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from conf.errors import InputError
from conf.paths import Paths
from conf.settings.run_file import Feature, Settings
from etl.artefact import publish, write_manifest
from etl.contract import QUARANTINE, RAW, samples_schema, value_column
from etl.samples import features, quality
from etl.samples.assemble import Assembled
from etl.spark import parquet
from etl.spark.schema import require


@contextmanager
def exclusive(paths: Paths) -> Iterator[Path]:
    """A fresh folder to write in, for one job of this lake at a time; the lock dies with its holder."""
    folder = paths.root / "_staging" / "build_samples"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                "another build_samples is at work", where=paths.root, hint="wait for it to end, then run again"
            ) from None
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def stage_samples(
    folder: Path, settings: Settings, rows: DataFrame, tables: dict[str, features.Table], sizes: dict[date, int]
) -> None:
    """Encodes and writes the rows of all days to <folder>/samples/dt=D; `sizes`: rows of each day."""
    schema = samples_schema(settings)
    encoded = require(features.encode(rows, settings.features, tables, schema), {**schema, "dt": "date"}, "samples")
    files: Column = F.lit(1)
    for day, count in sizes.items():
        if (needed := parquet.files_needed(count)) > 1:
            files = F.when(F.col("dt") == F.lit(day), needed).otherwise(files)
    number = parquet.hash_file("impression_id", files)
    order = parquet.hash_order("impression_id")
    parquet.write_partitions(encoded, schema, ["dt"], order, folder / "samples", number)


def stage_quarantine(folder: Path, parts: Assembled, days: list[date]) -> None:
    """Writes refused rows to <folder>/quarantine/table=T/dt=D; those of snapshots count for every day."""
    every_day = F.explode(F.array(*map(F.lit, days)))
    inside = F.col("dt").between(days[0], days[-1])
    refused = [quality.quarantined(parts.impressions, F.lit("impressions"), F.col("day")).where(inside)]
    refused.append(quality.quarantined(parts.steps, F.col("table"), F.col("dt")).where(inside))
    refused += [quality.quarantined(table, F.lit(name), every_day) for name, table in parts.snapshots.items()]
    together = reduce(DataFrame.unionByName, refused)
    order = [F.col(name) for name in QUARANTINE]
    parquet.write_partitions(together, QUARANTINE, ["table", "dt"], order, folder / "quarantine")
    for table in RAW:
        for day in days:
            place = quarantine_folder(folder, table, day)
            if not place.exists():
                place.mkdir(parents=True)
                pq.write_table(_NO_ROWS, place / "part-00000.parquet")


_NO_ROWS = pa.table({name: pa.array([], parquet.ARROW[kind]) for name, kind in QUARANTINE.items()})


def samples_folder(folder: Path, day: date) -> Path:
    return folder / "samples" / f"dt={day}"


def quarantine_folder(folder: Path, table: str, day: date) -> Path:
    return folder / "quarantine" / f"table={table}" / f"dt={day}"


def rows_in_files(folder: Path) -> int:
    return sum(pq.read_metadata(file).num_rows for file in folder.glob("*.parquet"))


def value_statistics(folder: Path, features: Iterable[Feature]) -> dict[str, dict[str, float | None]]:
    """Numeric feature -> rows that have it, its mean and its standard deviation (of the rows there are, not n - 1).

    Sums are exact, so the numbers follow from the rows, whatever their order.
    """
    found: dict[str, dict[str, float | None]] = {}
    for feature in features:
        if feature.kind == "numeric":
            column = value_column(feature)
            files = [pq.read_table(file, columns=[column])[column] for file in sorted(folder.glob("*.parquet"))]
            values = np.concatenate([file.to_numpy() for file in files]).astype(np.float64)
            values = values[~np.isnan(values)]
            mean = std = None
            if count := len(values):
                mean = math.fsum(values.tolist()) / count
                std = math.sqrt(math.fsum(((values - mean) ** 2).tolist()) / count)
            found[feature.name] = {"defined": count, "mean": mean, "std": std}
    return found


def publish_files(paths: Paths, written: Path, target: Path, manifest: dict[str, Any]) -> None:
    """Publishes the Parquet files of `written` at `target`, listed in its manifest."""

    def fill(staging: Path) -> None:
        for file in sorted(written.glob("*.parquet")):
            file.rename(staging / file.name)
        write_manifest(staging, {**manifest, "files": parquet.described(staging)})

    publish(paths, target, fill)


def fingerprint(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def settings_hash(settings: Settings) -> str:
    """Of all that decides what a day's tables hold. Where the files lie does not: their hashes are in the manifest;
    which features are crossed is the model's affair."""
    sections = {"source", "attribution", "labels", "vocabulary", "features"}
    chosen = settings.model_dump(mode="json", include=sections)
    chosen["start"] = str(settings.training.start)
    chosen["features"] = [feature.model_dump(mode="json", exclude={"cross"}) for feature in settings.features]
    return fingerprint(_without_paths(chosen))


def _without_paths(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _without_paths(value) for key, value in content.items() if key != "path"}
    return content
