"""Values of features to ids.

Ids follow etl.contract; a day's ids come from that day's vocabulary.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame

from conf.settings.run_file import Feature
from etl.contract import FIRST_VALUE, PADDING, UNSEEN, ddl, feature_columns, value_column
from etl.samples.raw_features import raw_column
from etl.spark.schema import require

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Lookup:
    """The ids of one feature: value n has `ids[n]` from day `admitted[n]` (days since 1970) on."""

    values: pa.Array
    ids: Ints
    admitted: Ints


def lookups(snapshots: Mapping[date, pd.DataFrame]) -> dict[str, Lookup]:
    """Feature -> its ids over a range of days. `snapshots`: the vocabulary of each day.

    The last snapshot holds every id; the first snapshot that holds an id is the day of its admission.
    """
    days = sorted(snapshots)
    last = snapshots[days[-1]]
    last = last[last["id"].notna()]
    admitted = pd.Series(_ordinal(days[-1]), index=last.index)
    keys = pd.MultiIndex.from_frame(last[["feature", "value"]])
    for day in reversed(days):
        snapshot = snapshots[day]
        known = pd.MultiIndex.from_frame(snapshot.loc[snapshot["id"].notna(), ["feature", "value"]])
        admitted[keys.isin(known)] = _ordinal(day)
    return {
        name: Lookup(
            pa.array(group["value"], pa.string()),
            group["id"].to_numpy(np.int32),
            admitted.loc[group.index].to_numpy(np.int32),
        )
        for name, group in last.groupby("feature")
    }


def _ordinal(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def encode(
    rows: DataFrame, features: Sequence[Feature], tables: Mapping[str, Lookup], schema: pa.Schema, name: str
) -> DataFrame:
    """Rows with `dt` and raw_<feature> columns -> `dt` and the columns of `schema`, the contract of table `name`."""
    shared = rows.sparkSession.sparkContext.broadcast(tables)
    kept = [c for c in schema.names if not c.startswith(("f_", "v_"))]
    chosen = rows.select("dt", *kept, *(raw_column(f) for f in features))
    dated = pa.schema([("dt", pa.date32()), *schema])

    def encoded(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            day = batch.column("dt").cast(pa.int32()).to_numpy()
            columns = {c: batch.column(c) for c in ("dt", *kept)}
            for feature in features:
                raw = batch.column(raw_column(feature))
                ids = feature_ids(feature, raw, shared.value.get(feature.name), day)
                columns |= dict(zip(feature_columns(feature), ids, strict=True))
                if feature.kind == "numeric":
                    columns[value_column(feature)] = feature_values(raw)
            yield pa.RecordBatch.from_pydict({c: columns[c] for c in dated.names})

    return require(chosen.mapInArrow(encoded, ddl(dated)), dated, name)


def feature_ids(feature: Feature, raw: pa.Array, table: Lookup | None, day: Ints) -> list[pa.Array]:
    """Ids of one feature [rows], an int32 array for each of its columns; day [rows]: days since 1970."""
    if feature.kind == "numeric":
        value = raw.to_numpy(zero_copy_only=False)
        bucket = np.searchsorted(feature.boundaries, value, side="right") + FIRST_VALUE
        return [pa.array(np.where(np.isnan(value), UNSEEN, bucket).astype(np.int32))]
    if feature.kind == "categorical":
        return [pa.array(_look_up(raw, table, day))]
    length = pc.fill_null(pc.list_value_length(raw), 0).to_numpy()
    row = np.repeat(np.arange(len(raw)), length)
    place = np.arange(len(row)) - np.repeat(np.cumsum(length) - length, length)
    ids = np.full((len(raw), feature.length), PADDING, dtype=np.int32)
    ids[row, place] = _look_up(pc.list_flatten(raw), table, day[row])
    ids[length == 0, 0] = UNSEEN
    return [pa.array(ids[:, n]) for n in range(feature.length)]


def feature_values(raw: pa.Array) -> pa.Array:
    """A numeric feature's numbers as float32, NaN where missing or not a finite float32."""
    with np.errstate(over="ignore"):
        values = raw.to_numpy(zero_copy_only=False).astype(np.float32)
    return pa.array(np.where(np.isfinite(values), values, np.float32(np.nan)))


def _look_up(values: pa.Array, table: Lookup | None, day: Ints) -> Ints:
    if table is None or not len(table.values):
        return np.full(len(values), UNSEEN, dtype=np.int32)
    found = pc.index_in(values, value_set=table.values, skip_nulls=True)
    index = pc.fill_null(found, 0).to_numpy()
    known = pc.is_valid(found).to_numpy(zero_copy_only=False) & (table.admitted[index] <= day)
    return np.where(known, table.ids[index], UNSEEN).astype(np.int32)
