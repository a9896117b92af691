"""Raw columns -> values of features -> ids.

A feature comes from impressions, users or items as they are known before anything happens to the impression: feedback
never enters. Ids follow contract.py; those of a day come from that day's vocabulary.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from conf.errors import InputError
from conf.settings.run_file import Feature, Settings
from etl.contract import FIRST_VALUE, PADDING, UNSEEN, feature_columns, label_columns, value_column
from etl.sources.files import refuse_mistyped

Ints = npt.NDArray[np.int32]

# what is only known after the impression; a source that offers it, or a label, as a feature would leak the label
FEEDBACK = {"value", "is_click", "long_view"}
KEYS = {"users": "user_id", "items": "item_id"}


def require(settings: Settings, features: list[Feature], tables: Mapping[str, DataFrame | None]) -> None:
    """Raises InputError when the column of one of some features is absent, of the wrong kind, or feedback."""
    feedback = {*label_columns(settings.labels.kinds), *FEEDBACK}
    for feature in features:
        where = f"[[features]] {feature.name}"
        column = feature.source_column
        if column in feedback:
            raise InputError(
                f"column '{column}' is feedback: it would leak the label", where=where, hint="remove the feature"
            )
        table = tables.get(feature.table)
        if table is None:
            if column == KEYS.get(feature.table):
                continue
            raise InputError(f"there is no table {feature.table}", where=where, hint=f"map [source.{feature.table}]")
        types = dict(table.dtypes)
        if column not in types:
            known = ", ".join(c for c in types if c not in feedback)
            raise InputError(f"table {feature.table} has no column '{column}'", where=where, hint=f"it has: {known}")
        if (feature.kind == "multi") != types[column].startswith("array"):
            hint = "set kind = 'multi' and a length" if types[column].startswith("array") else "map a list of values"
            raise InputError(f"{feature.kind}, but column '{column}' is {types[column]}", where=where, hint=hint)


def refuse_text(features: list[Feature], tables: Mapping[str, DataFrame]) -> None:
    """Raises InputError when most values of a numeric feature's column are no numbers."""
    for name, table in tables.items():
        types = dict(table.dtypes)
        named = [f.source_column for f in features if f.table == name and f.kind == "numeric"]
        if texts := [column for column in named if types[column] == "string"]:
            refuse_mistyped(table, {c: F.col(c).try_cast("double") for c in texts}, f"numeric feature of table {name}")


def raw_column(feature: Feature) -> str:
    return f"raw_{feature.name}"


def _raw(feature: Feature) -> Column:
    """The value as it will be looked up: text, a list of texts, or a double; null when missing."""
    column = F.col(feature.source_column)
    if feature.kind == "numeric":
        return column.cast("string").try_cast("double")
    if feature.kind == "multi":
        kept = F.filter(F.array_distinct(column.cast("array<string>")), lambda v: v.isNotNull() & (v != ""))
        return F.slice(kept, 1, feature.length)
    text = column.cast("string")
    return F.when(text != "", text)


def joined(impressions: DataFrame, snapshots: dict[str, DataFrame], features: list[Feature]) -> DataFrame:
    """Impressions with a raw_<feature> column for every feature; users and items unknown to their table give nulls."""
    # an impression names its user and item itself, whether or not the tables know them
    here = [f for f in features if f.table == "impressions" or f.source_column == KEYS[f.table]]
    result = impressions.select(*impressions.columns, *(_raw(f).alias(raw_column(f)) for f in here))
    for name, key in KEYS.items():
        others = [f for f in features if f.table == name and f.source_column != key]
        if others:
            attributes = snapshots[name].select(key, *(_raw(f).alias(raw_column(f)) for f in others))
            result = result.join(attributes, on=key, how="left")
    return result


def counts(rows: DataFrame, features: list[Feature]) -> pd.DataFrame:
    """dt, feature, value, n: how many impressions of a day carry a value."""
    entries = F.concat(*(_entries(feature) for feature in features if feature.kind != "numeric"))
    seen = rows.select("dt", F.explode(entries).alias("entry")).select("dt", "entry.*").where("value is not null")
    return seen.groupBy("dt", "feature", "value").agg(F.count("*").alias("n")).toPandas()


def _entries(feature: Feature) -> Column:
    """The values of one feature of a row as a list of (feature, value)."""
    raw = F.col(raw_column(feature))
    values = F.coalesce(raw, F.array().cast("array<string>")) if feature.kind == "multi" else F.array(raw)
    return F.transform(values, lambda value: F.struct(F.lit(feature.name).alias("feature"), value.alias("value")))


@dataclass(frozen=True)
class Table:
    """Look-up table of one feature: value n has `ids[n]` from day `admitted[n]` (days since 1970) on."""

    values: pa.Array
    ids: Ints
    admitted: Ints


def lookup(snapshots: dict[date, pd.DataFrame]) -> dict[str, Table]:
    """The look-up tables of a range of days, of the last snapshot and the day each id first appears in one."""
    days = sorted(snapshots)
    last = snapshots[days[-1]]
    last = last[last["id"].notna()]
    since = pd.Series(_ordinal(days[-1]), index=last.index)
    keys = pd.MultiIndex.from_frame(last[["feature", "value"]])
    for day in reversed(days):
        snapshot = snapshots[day]
        known = pd.MultiIndex.from_frame(snapshot.loc[snapshot["id"].notna(), ["feature", "value"]])
        since[keys.isin(known)] = _ordinal(day)
    return {
        name: Table(
            pa.array(group["value"], pa.string()),
            group["id"].to_numpy(np.int32),
            since.loc[group.index].to_numpy(np.int32),
        )
        for name, group in last.groupby("feature")
    }


def _ordinal(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def encode(rows: DataFrame, features: list[Feature], tables: dict[str, Table], schema: dict[str, str]) -> DataFrame:
    """Rows with `dt` and raw_<feature> columns -> the columns of `schema` plus `dt`."""
    shared = rows.sparkSession.sparkContext.broadcast(tables)
    kept = [c for c in schema if not c.startswith(("f_", "v_"))]
    chosen = rows.select("dt", *kept, *(raw_column(f) for f in features))
    ddl = ", ".join(f"`{c}` {t}" for c, t in {"dt": "date", **schema}.items())

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
            yield pa.RecordBatch.from_pydict({c: columns[c] for c in ("dt", *schema)})

    return chosen.mapInArrow(encoded, ddl)


def feature_ids(feature: Feature, raw: pa.Array, table: Table | None, day: Ints) -> list[pa.Array]:
    """Ids of one feature, an int32 array for each of its columns."""
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
    """A numeric feature as it is: float32, NaN where it is missing or beyond what a float32 holds."""
    with np.errstate(over="ignore"):
        values = raw.to_numpy(zero_copy_only=False).astype(np.float32)
    return pa.array(np.where(np.isfinite(values), values, np.float32(np.nan)))


def _look_up(values: pa.Array, table: Table | None, day: Ints) -> Ints:
    if table is None or not len(table.values):
        return np.full(len(values), UNSEEN, dtype=np.int32)
    found = pc.index_in(values, value_set=table.values, skip_nulls=True)
    index = pc.fill_null(found, 0).to_numpy()
    known = pc.is_valid(found).to_numpy(zero_copy_only=False) & (table.admitted[index] <= day)
    return np.where(known, table.ids[index], UNSEEN).astype(np.int32)
