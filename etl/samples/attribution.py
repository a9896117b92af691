"""impression -> click -> action -> conversion: finds each step's impression, and makes labels of the steps.

A step belongs to the latest impression of the same key at or before it, when that lies within the step's window. Its
day is its impression's day, or its own when it has none. Policy: an action or conversion without a click is
quarantined ('no click'); a step refused for what it holds (no time, a value outside [0,1], ...) leaves the label of
its impression undefined rather than 0.
"""

from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from conf.settings.run_file import Attribution, Labels
from etl.contract import BOOKKEEPING, kind_label
from etl.samples import quality
from etl.sources.base import HOUR_MS, RawTables, start_of

STEPS = ("clicks", "actions", "conversions")
COLUMNS = {"ts": "bigint", "day": "date", "action": "string", "value": "double", "converted": "int"}


def window_hours(settings: Attribution) -> dict[str, float]:
    return {
        "clicks": settings.click_hours,
        "actions": settings.action_hours,
        "conversions": settings.conversion_hours,
    }


def window_days(settings: Attribution) -> int:
    """How many days before and after a day hold what decides its labels."""
    return -int(-max(window_hours(settings).values()) // 24)


def attribute(tables: RawTables, impressions: DataFrame, settings: Attribution) -> DataFrame:
    """Every step with `table`, `dt`, `shown` (impression_id it belongs to, or null) and its final `reason`.

    `impressions` are the usable ones. One sort by key and time finds all matches, however many steps there are.
    """
    key = list(tables.match)
    steps = reduce(DataFrame.unionByName, [_steps(tables, name) for name in STEPS])
    shown = F.struct("ts", "day", "impression_id").alias("_shown")
    stream = impressions.select(*key, F.col("ts").alias("_at"), F.lit(0).alias("_kind"), shown).unionByName(
        steps, allowMissingColumns=True
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


def _steps(tables: RawTables, name: str) -> DataFrame:
    """A step table brought to common columns; `_at` is the time by which it is matched."""
    checked = quality.checked_steps(tables, name)
    known = {**dict.fromkeys(tables.match, "string"), **COLUMNS, "reason": "string", **BOOKKEEPING}
    columns = [
        F.col(c) if c in checked.columns else F.lit(None).cast(kind).alias(c)
        for c, kind in {"impression_id": "string", **known}.items()
    ]
    # with an impression_id a step without a usable time still finds its impression, up to the end of its day
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


def _by_table(values: dict[str, float]) -> Column:
    chosen = F.lit(None).cast("double")
    for name, value in values.items():
        chosen = F.when(F.col("table") == name, F.lit(float(value))).otherwise(chosen)
    return chosen


def _within(settings: Attribution) -> Column:
    hours = _by_table(window_hours(settings))
    timed = F.col("_at") <= F.col("_shown.ts") + hours * HOUR_MS
    untimed = F.datediff("day", "_shown.day").between(0, F.ceil(hours / 24))
    return F.when(F.col("_untimed"), untimed).otherwise(timed)


def _unmatched(settings: Attribution) -> Column:
    named = F.lit(None).cast("string")
    for name, hours in window_hours(settings).items():
        named = F.when(F.col("table") == name, F.lit(quality.no_impression(hours))).otherwise(named)
    return named


def _without_click(matched: DataFrame, key: list[str]) -> DataFrame:
    same = Window.partitionBy(*key, "dt", "shown")
    clicked = F.max((F.col("table") == "clicks") & F.col("reason").isNull()).over(same)
    orphan = ~F.col("_clicked") & F.col("shown").isNotNull() & (F.col("table") != "clicks")
    return (
        matched.withColumn("_clicked", clicked)
        .withColumn("reason", F.coalesce(F.col("reason"), F.when(orphan, F.lit(quality.NO_CLICK))))
        .drop("_clicked", "_untimed")
    )


def labels(attributed: DataFrame, settings: Labels) -> DataFrame:
    """dt, impression_id -> labels of impressions that had any step, and `n_<table>`: steps used."""
    used = F.col("reason").isNull()

    def of(name: str) -> Column:
        return used & (F.col("table") == name)

    def spoilt(name: str) -> Column:
        # duplicates and steps without a click are refused too, but change nothing: the one is there twice, and
        # without a click nothing is defined
        return F.max((F.col("table") == name) & ~used).alias(f"_spoilt_{name}")

    counts = [F.count(F.when(of(name), 1)).alias(f"n_{name}") for name in STEPS]
    counted_action = F.col("action").isin(settings.actions) if settings.actions else F.lit(True)
    kinds = {kind: of("actions") & (F.col("action") == kind) for kind in settings.kinds}
    converted = F.coalesce(F.col("converted"), (F.col("value") >= settings.converted_at).cast("int"))
    grouped = (
        attributed.where(F.col("shown").isNotNull())
        .groupBy("dt", F.col("shown").alias("impression_id"))
        .agg(
            *counts,
            *map(spoilt, STEPS),
            F.max(F.when(of("actions") & counted_action, 1)).alias("_action"),
            *(F.max(F.when(is_kind, 1)).alias(f"_is_{kind}") for kind, is_kind in kinds.items()),
            F.max(F.when(of("conversions"), F.coalesce("value", converted))).alias("_value"),
            F.max(F.when(of("conversions"), converted)).alias("_converted"),
        )
    )
    click = F.col("n_clicks") > 0

    def defined(name: str) -> Column:
        return click & ((F.col(f"n_{name}") > 0) | ~F.col(f"_spoilt_{name}"))

    return grouped.select(
        "dt",
        "impression_id",
        *(F.col(f"n_{name}") for name in STEPS),
        click.cast("float").alias("click"),
        F.coalesce("_action", F.lit(0)).cast("float").alias("action"),
        F.coalesce("_value", F.lit(0)).cast("float").alias("conversion"),
        F.coalesce("_converted", F.lit(0)).cast("float").alias("converted"),
        *(F.coalesce(f"_is_{kind}", F.lit(0)).cast("float").alias(kind_label(kind)) for kind in kinds),
        (click | ~F.col("_spoilt_clicks")).cast("float").alias("click_defined"),
        defined("actions").cast("float").alias("action_defined"),
        defined("conversions").cast("float").alias("conversion_defined"),
    )
