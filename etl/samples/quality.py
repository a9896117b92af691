"""Rows that cannot be used: each gets a reason, is kept in quarantine and counted.

Every check adds `reason`, null for a row that is used. The first reason that applies is the one given.
"""

from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from etl.contract import BOOKKEEPING
from etl.sources.base import RawTables
from etl.spark.epoch import HOUR_MS, start_of

NULL_KEY = "null key"
WRONG_DAY = "wrong day"
OUTSIDE = "value outside [0,1]"
DUPLICATE = "duplicate"
NO_CLICK = "no click"


def no_impression(hours: float) -> str:
    return f"no impression within {hours:g} hours"


def checked_impressions(tables: RawTables) -> DataFrame:
    """Impressions with `reason`; an impression_id may occur once a day."""
    reason = _first(
        (NULL_KEY, _any_null(("impression_id", "user_id", "item_id", "ts"))),
        (WRONG_DAY, _wrong_day(tables, tables.early_tolerance_hours)),
    )
    return _without_duplicates(tables.impressions.withColumn("reason", reason), ["day", "impression_id"])


def checked_stage(tables: RawTables, name: str) -> DataFrame:
    """Clicks, actions or conversions with `reason`; only rows equal in all columns are duplicates."""
    table = tables.events()[name]
    checks = [
        (NULL_KEY, _any_null((*tables.match, "ts"))),
        (WRONG_DAY, _wrong_day(tables, tables.early_tolerance_hours)),
    ]
    if name == "conversions":
        value = F.col("value")
        unusable = value.isNull() & F.col("converted").isNull() | F.isnan(value) | (value < 0) | (value > 1)
        checks.append((OUTSIDE, F.coalesce(unusable, F.lit(False))))
    return _without_duplicates(table.withColumn("reason", _first(*checks)), _data_columns(table))


def checked_snapshot(table: DataFrame, key: str) -> DataFrame:
    """Users or items with `reason`; a key may occur once."""
    return _without_duplicates(table.withColumn("reason", _first((NULL_KEY, F.col(key).isNull()))), [key])


def usable(checked: DataFrame) -> DataFrame:
    return checked.where(F.col("reason").isNull()).drop("reason", *BOOKKEEPING.names)


def quarantined(checked: DataFrame, table: Column, day: Column) -> DataFrame:
    """table, dt, reason and row of every refused row; `row`: its JSON, or its text where it does not parse."""
    columns = [c for c in _data_columns(checked) if c not in ("reason", "table", "dt", "shown")]
    row = F.coalesce(F.col("raw"), F.to_json(F.struct(*columns)))
    refused = checked.where(F.col("reason").isNotNull())
    return refused.select(table.alias("table"), day.alias("dt"), "reason", row.alias("row"))


def _data_columns(table: DataFrame) -> list[str]:
    return [c for c in table.columns if c not in BOOKKEEPING.names]


def _first(*checks: tuple[str, Column]) -> Column:
    """The reason of the first check that holds, else null; a reason that the source gave precedes all."""
    named = [F.when(holds, F.lit(reason)) for reason, holds in checks]
    return F.coalesce(F.col("refused"), *named)


def _any_null(columns: tuple[str, ...]) -> Column:
    return reduce(lambda a, b: a | b, [F.col(c).isNull() for c in columns])


def _wrong_day(tables: RawTables, early_tolerance_hours: float) -> Column:
    begin = start_of(F.col("day"), tables.timezone)
    end = start_of(F.date_add("day", 1), tables.timezone)
    return (F.col("ts") < begin - int(early_tolerance_hours * HOUR_MS)) | (F.col("ts") >= end)


def _without_duplicates(table: DataFrame, key: list[str]) -> DataFrame:
    """Of usable rows that agree on `key`, keeps the least by all columns, so that input order does not matter."""
    place = F.row_number().over(Window.partitionBy("reason", *key).orderBy(*map(F.col, _data_columns(table))))
    repeated = F.col("reason").isNull() & (F.col("_place") > 1)
    return (
        table.withColumn("_place", place)
        .withColumn("reason", F.when(repeated, F.lit(DUPLICATE)).otherwise(F.col("reason")))
        .drop("_place")
    )
