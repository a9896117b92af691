"""The vocabulary: value -> id, append-only, one full snapshot a day.

A value is admitted on the day its count over all days reaches the feature's threshold. Each feature hands out its ids
in order of (day of admission, value), and an id never changes. A snapshot has to fit in the memory of one machine, as
do the embedding tables whose size it sets; Spark does the counting (raw_features.py).
"""

from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from conf.errors import InputError
from conf.paths import Paths
from conf.settings.run_file import Feature, Settings
from etl.artefact import is_published, read_manifest
from etl.contract import FIRST_VALUE, VOCABULARY
from etl.samples.hints import build_command

FILE = "part-00000.parquet"


def empty() -> pd.DataFrame:
    return _typed(pd.DataFrame(columns=VOCABULARY.names))


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype({"feature": object, "value": object, "id": "Int32", "first_seen": object, "count": "int64"})


def advance(previous: pd.DataFrame, counts: pd.DataFrame, day: date, thresholds: dict[str, int]) -> pd.DataFrame:
    """The snapshot at the end of `day`: the previous snapshot and that day's counts (feature, value, n)."""
    merged = previous.merge(counts, on=["feature", "value"], how="outer")
    merged["count"] = merged["count"].fillna(0).astype("int64") + merged["n"].fillna(0).astype("int64")
    merged["first_seen"] = merged["first_seen"].fillna(str(day))
    merged = merged.sort_values(["feature", "value"], ignore_index=True)
    admitted = merged["id"].isna() & (merged["count"] >= merged["feature"].map(thresholds))
    next_id = merged.groupby("feature")["id"].max().fillna(FIRST_VALUE - 1) + 1
    new = merged.loc[admitted, "feature"]
    merged.loc[admitted, "id"] = new.map(next_id) + new.groupby(new).cumcount()
    return _typed(merged[VOCABULARY.names])


def thresholds(settings: Settings) -> dict[str, int]:
    """Admission threshold of every feature that has a vocabulary."""
    return {f.name: f.min_count or settings.vocabulary.min_count for f in settings.features if f.kind != "numeric"}


def sizes(snapshot: pd.DataFrame, features: Iterable[Feature]) -> dict[str, int]:
    """Feature -> number of ids in use, padding and unseen included: every id of the feature is smaller."""
    largest = snapshot.groupby("feature")["id"].max().dropna()
    return {
        f.name: len(f.boundaries) + 1 + FIRST_VALUE if f.kind == "numeric" else int(largest.get(f.name, 1)) + 1
        for f in features
    }


def before(paths: Paths, settings: Settings, day: date) -> pd.DataFrame:
    """The snapshot of the day before, empty on [training] start; raises InputError when it is missing."""
    start = settings.training.start
    if day < start:
        raise InputError(f"lies before [training] start = {start}", where=f"day {day}", hint="choose a later day")
    if day == start:
        return empty()
    eve = day - timedelta(days=1)
    return read(paths.vocabulary(eve), hint=f"build the days before first: {build_command(start, eve)}")


def refuse_fork(paths: Paths, day: date, snapshot: pd.DataFrame) -> None:
    """Raises InputError when the snapshot of `day` would change under later days, whose ids continue it."""
    later, now = paths.vocabulary(day + timedelta(days=1)), paths.vocabulary(day)
    if is_published(later) and is_published(now) and not _read(now).equals(snapshot):
        raise InputError(
            f"the vocabulary of {day} would change, and later days continue it",
            where=later,
            hint=f"rebuild them too: {build_command(day, '<last day>')} --force",
        )


def read(target: Path, *, hint: str) -> pd.DataFrame:
    """A published snapshot; raises InputError with the hint when it is absent."""
    read_manifest(target, hint=hint)
    return _read(target)


def _read(folder: Path) -> pd.DataFrame:
    return _typed(pq.read_table(folder / FILE).to_pandas())


def write(snapshot: pd.DataFrame, folder: Path) -> Path:
    """One file, sorted by feature and value."""
    pq.write_table(pa.Table.from_pandas(snapshot, VOCABULARY.schema(), preserve_index=False), folder / FILE)
    return folder / FILE
