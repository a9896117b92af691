"""Raw columns to the values of features.

A feature comes from impressions, users or items as they are known before anything happens to the impression.
"""

from collections.abc import Mapping, Sequence

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from conf.settings.run_file import Feature
from etl.contract import SNAPSHOTS


def raw_column(feature: Feature) -> str:
    return f"raw_{feature.name}"


def joined(impressions: DataFrame, snapshots: Mapping[str, DataFrame], features: Sequence[Feature]) -> DataFrame:
    """Adds raw_<feature> for every feature, null for users and items that their table does not know."""
    # an impression names its user and item itself, whether or not the tables know them
    here = [f for f in features if f.table == "impressions" or f.source_column == SNAPSHOTS[f.table]]
    result = impressions.select(*impressions.columns, *(_raw(f).alias(raw_column(f)) for f in here))
    for name, key in SNAPSHOTS.items():
        others = [f for f in features if f.table == name and f.source_column != key]
        if others:
            attributes = snapshots[name].select(key, *(_raw(f).alias(raw_column(f)) for f in others))
            result = result.join(attributes, on=key, how="left")
    return result


def _raw(feature: Feature) -> Column:
    """The value to encode: text, a list of texts, or a double; null when missing."""
    column = F.col(feature.source_column)
    if feature.kind == "numeric":
        return column.cast("string").try_cast("double")
    if feature.kind == "multi":
        kept = F.filter(F.array_distinct(column.cast("array<string>")), lambda v: v.isNotNull() & (v != ""))
        return F.slice(kept, 1, feature.length)
    text = column.cast("string")
    return F.when(text != "", text)


def counts(rows: DataFrame, features: Sequence[Feature]) -> pd.DataFrame:
    """dt, feature, value, n: how many impressions of a day carry a value."""
    entries = F.concat(*(_entries(feature) for feature in features if feature.kind != "numeric"))
    seen = rows.select("dt", F.explode(entries).alias("entry")).select("dt", "entry.*").where("value is not null")
    return seen.groupBy("dt", "feature", "value").agg(F.count("*").alias("n")).toPandas()


def _entries(feature: Feature) -> Column:
    """The values of one feature of a row as a list of (feature, value)."""
    raw = F.col(raw_column(feature))
    values = F.coalesce(raw, F.array().cast("array<string>")) if feature.kind == "multi" else F.array(raw)
    return F.transform(values, lambda value: F.struct(F.lit(feature.name).alias("feature"), value.alias("value")))
