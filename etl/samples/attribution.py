"""impression -> click -> action -> conversion: finds the impression of each click, action and conversion.

Such an event belongs to the latest impression with the same key at or before it, if that lies within the window of
the event's stage. Its day is the impression's day, or its own when it has no impression. An action or conversion
without a click is quarantined ('no click').
"""

from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from conf.settings.run_file import Attribution
from etl.contract import BOOKKEEPING, STAGES, spark_types
from etl.samples import quality
from etl.sources.base import RawTables
from etl.spark.epoch import HOUR_MS, start_of

COLUMNS = {"ts": "bigint", "day": "date", "action": "string", "value": "double", "converted": "int"}


def window_hours(settings: Attribution) -> dict[str, float]:
    return {
        "clicks": settings.click_hours,
        "actions": settings.action_hours,
        "conversions": settings.conversion_hours,
    }


def window_days(settings: Attribution) -> int:
    """How many days before and after a day can affect its labels."""
    return -int(-max(window_hours(settings).values()) // 24)


def attribute(tables: RawTables, impressions: DataFrame, settings: Attribution) -> DataFrame:
    """Every click, action and conversion with `table`, `dt`, `shown` (its impression_id, or null) and `reason`.

    `impressions`: the usable ones. One sort by key and time finds all matches, however many events there are.
    """
    key = list(tables.match)
    events = reduce(DataFrame.unionByName, [_stage(tables, name) for name in STAGES])
    shown = F.struct("ts", "day", "impression_id").alias("_shown")
    stream = impressions.select(*key, F.col("ts").alias("_at"), F.lit(0).alias("_kind"), shown).unionByName(
        events, allowMissingColumns=True
    )
    latest = Window.partitionBy(*key).orderBy("_at", "_kind").rowsBetween(Window.unboundedPreceding, Window.currentRow)
    matched = stream.withColumn("_shown", F.last("_shown", ignorenulls=True).over(latest)).where("_kind = 1")
    matched = matched.withColumn("_shown", F.when(_within(settings), F.col("_shown")))
    matched = (
        matched.withColumn("shown", F.col("_shown.impression_id"))
        .withColumn("dt", F.coalesce("_shown.day", "day"))
        .withColumn("reason", F.coalesce(F.col("reason"), F.when(F.col("shown").isNull(), _unmatched(settings))))
    )
    return _without_click(matched, key).drop("_at", "_kind", "_shown")


def _stage(tables: RawTables, name: str) -> DataFrame:
    """The events of one stage in the columns common to all; `_at`: the time by which they are matched."""
    checked = quality.checked_stage(tables, name)
    key = dict.fromkeys(["impression_id", *tables.match], "string")
    known = {**key, **COLUMNS, "reason": "string", **spark_types(BOOKKEEPING.schema())}
    columns = [F.col(c) if c in checked.columns else F.lit(None).cast(kind).alias(c) for c, kind in known.items()]
    # an event that has an impression_id but no usable time still finds its impression, up to the end of its day
    end_of_day = start_of(F.date_add("day", 1), tables.timezone) - 1
    untimed = F.col("ts").isNull() | F.col("reason").eqNullSafe(quality.WRONG_DAY)
    at = F.when(~untimed, F.col("ts"))
    if tables.match == ("impression_id",):
        at = F.coalesce(at, end_of_day)
    return (
        checked.select(*columns, F.lit(name).alias("table"))
        .withColumn("_at", at)
        .withColumn("_untimed", untimed)
        .withColumn("_kind", F.lit(1))
    )


def _by_table(values: dict[str, Column], kind: str) -> Column:
    """The value that belongs to a row's table."""
    chosen = F.lit(None).cast(kind)
    for name, value in values.items():
        chosen = F.when(F.col("table") == name, value).otherwise(chosen)
    return chosen


def _within(settings: Attribution) -> Column:
    hours = _by_table({name: F.lit(float(hours)) for name, hours in window_hours(settings).items()}, "double")
    timed = F.col("_at") <= F.col("_shown.ts") + hours * HOUR_MS
    untimed = F.datediff("day", "_shown.day").between(0, F.ceil(hours / 24))
    return F.when(F.col("_untimed"), untimed).otherwise(timed)


def _unmatched(settings: Attribution) -> Column:
    reasons = {name: F.lit(quality.no_impression(hours)) for name, hours in window_hours(settings).items()}
    return _by_table(reasons, "string")


def _without_click(matched: DataFrame, key: list[str]) -> DataFrame:
    """Gives actions and conversions of an impression without a click their reason."""
    same = Window.partitionBy(*key, "dt", "shown")
    clicked = F.max((F.col("table") == "clicks") & F.col("reason").isNull()).over(same)
    orphan = ~F.col("_clicked") & F.col("shown").isNotNull() & (F.col("table") != "clicks")
    return (
        matched.withColumn("_clicked", clicked)
        .withColumn("reason", F.coalesce(F.col("reason"), F.when(orphan, F.lit(quality.NO_CLICK))))
        .drop("_clicked", "_untimed")
    )
