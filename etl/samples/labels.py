"""Attributed events to the labels of their impressions.

A refused event (without a time, with a value outside [0,1], ...) leaves the label of its impression undefined rather
than 0: something happened, and nobody knows what.
"""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from conf.settings.run_file import Labels
from etl.contract import STAGES, kind_label


def labels(attributed: DataFrame, settings: Labels) -> DataFrame:
    """dt and impression_id of the impressions with any event, their labels, and n_<table>: events used."""
    used = F.col("reason").isNull()

    def of(name: str) -> Column:
        return used & (F.col("table") == name)

    def spoilt(name: str) -> Column:
        # duplicates and events without a click are refused too, but change nothing: the one is there twice, and
        # without a click nothing is defined
        return F.max((F.col("table") == name) & ~used).alias(f"_spoilt_{name}")

    labelled_action = F.col("action").isin(settings.actions) if settings.actions else F.lit(True)
    kinds = {kind: of("actions") & (F.col("action") == kind) for kind in settings.kinds}
    converted = F.coalesce(F.col("converted"), (F.col("value") >= settings.conversion_threshold).cast("int"))
    grouped = (
        attributed.where(F.col("shown").isNotNull())
        .groupBy("dt", F.col("shown").alias("impression_id"))
        .agg(
            *(F.count(F.when(of(name), 1)).alias(f"n_{name}") for name in STAGES),
            *map(spoilt, STAGES),
            F.max(F.when(of("actions") & labelled_action, 1)).alias("_action"),
            *(F.max(F.when(is_kind, 1)).alias(f"_is_{kind}") for kind, is_kind in kinds.items()),
            F.max(F.when(of("conversions"), F.coalesce("value", converted))).alias("_value"),
            F.max(F.when(of("conversions"), converted)).alias("_converted"),
        )
    )
    return grouped.select("dt", "impression_id", *(f"n_{name}" for name in STAGES), *_label_columns(settings.kinds))


def _label_columns(kinds: list[str]) -> list[Column]:
    """The columns of contract.label_columns, from the counts and maxima of an impression's events."""
    click = F.col("n_clicks") > 0

    def happened(maximum: str) -> Column:
        return F.coalesce(maximum, F.lit(0))

    def defined(name: str) -> Column:
        return click & ((F.col(f"n_{name}") > 0) | ~F.col(f"_spoilt_{name}"))

    columns = {
        "click": click,
        "action": happened("_action"),
        "conversion": happened("_value"),
        "converted": happened("_converted"),
        **{kind_label(kind): happened(f"_is_{kind}") for kind in kinds},
        "click_defined": click | ~F.col("_spoilt_clicks"),
        "action_defined": defined("actions"),
        "conversion_defined": defined("conversions"),
    }
    return [column.cast("float").alias(name) for name, column in columns.items()]
