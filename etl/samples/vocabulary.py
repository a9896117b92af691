"""The vocabulary: value -> id, append-only, one full snapshot a day.

A value is admitted on the day on which its count over all days reaches the feature's threshold. Ids are handed out
feature by feature in order of (day of admission, value) and never change. A snapshot fits the memory of one machine
as the embedding tables it sizes must; Spark does the counting (features.py).
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
from etl import artefact as publish
from etl.contract import FIRST_VALUE, VOCABULARY

ARROW = pa.schema(
    [
        ("feature", pa.string()),
        ("value", pa.string()),
        ("id", pa.int32()),
        ("first_seen", pa.string()),
        ("count", pa.int64()),
    ]
)
FILE = "part-00000.parquet"
assert ARROW.names == list(VOCABULARY)


def empty() -> pd.DataFrame:
    return _typed(pd.DataFrame(columns=list(VOCABULARY)))


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype({"feature": object, "value": object, "id": "Int32", "first_seen": object, "count": "int64"})


def advance(previous: pd.DataFrame, counts: pd.DataFrame, day: date, thresholds: dict[str, int]) -> pd.DataFrame:
    """The snapshot at the end of `day`: the previous one plus that day's counts (feature, value, n)."""
    merged = previous.merge(counts, on=["feature", "value"], how="outer")
    merged["count"] = merged["count"].fillna(0).astype("int64") + merged["n"].fillna(0).astype("int64")
    merged["first_seen"] = merged["first_seen"].fillna(str(day))
    merged = merged.sort_values(["feature", "value"], ignore_index=True)
    admitted = merged["id"].isna() & (merged["count"] >= merged["feature"].map(thresholds))
    next_id = merged.groupby("feature")["id"].max().fillna(FIRST_VALUE - 1) + 1
    fresh = merged.loc[admitted, "feature"]
    merged.loc[admitted, "id"] = fresh.map(next_id) + fresh.groupby(fresh).cumcount()
    return _typed(merged[list(VOCABULARY)])


def thresholds(settings: Settings) -> dict[str, int]:
    """Admission threshold of every feature that has a vocabulary."""
    return {f.name: f.min_count or settings.vocabulary.min_count for f in settings.features if f.kind != "numeric"}


def sizes(snapshot: pd.DataFrame, features: Iterable[Feature]) -> dict[str, int]:
    """Number of ids in use, padding and unseen included: every id of the feature is smaller."""
    largest = snapshot.groupby("feature")["id"].max().dropna()
    return {
        f.name: len(f.boundaries) + 1 + FIRST_VALUE if f.kind == "numeric" else int(largest.get(f.name, 1)) + 1
        for f in features
    }


def before(paths: Paths, settings: Settings, day: date) -> pd.DataFrame:
    """The snapshot that `day` starts from: that of the day before, or nothing on [training] start."""
    start = settings.training.start
    if day < start:
        raise InputError(f"lies before [training] start = {start}", where=f"day {day}", hint="choose a later day")
    if day == start:
        return empty()
    eve = day - timedelta(days=1)
    return read(paths.vocabulary(eve), hint=f"build the days before first: --from {start} --to {eve}")


def refuse_fork(paths: Paths, day: date, snapshot: pd.DataFrame) -> None:
    """Ids of later days continue those of `day`: raises InputError when it changes and they would not."""
    later, now = paths.vocabulary(day + timedelta(days=1)), paths.vocabulary(day)
    if publish.is_published(later) and publish.is_published(now) and not read(now, hint="").equals(snapshot):
        raise InputError(
            f"the vocabulary of {day} would change, and later days continue it",
            where=later,
            hint=f"rebuild them too: --from {day} --to the last day, with --force",
        )


def read(target: Path, *, hint: str) -> pd.DataFrame:
    publish.read_manifest(target, hint=hint)
    return _typed(pq.read_table(target / FILE).to_pandas())


def write(snapshot: pd.DataFrame, folder: Path) -> Path:
    """One file, sorted by feature and value."""
    pq.write_table(pa.Table.from_pandas(snapshot, ARROW, preserve_index=False), folder / FILE)
    return folder / FILE
