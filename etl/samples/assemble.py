"""Raw tables -> judged tables -> one row an impression with its labels and raw features."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from conf.settings.run_file import Settings
from etl.contract import SNAPSHOTS, STAGES, label_columns
from etl.samples import quality
from etl.samples.attribution import attribute
from etl.samples.domains import with_domain
from etl.samples.labels import labels
from etl.samples.raw_features import joined
from etl.sources.base import RawTables


@dataclass(frozen=True)
class Assembled:
    """The judged tables, each with `reason`, and `rows`: keys, labels, raw_<feature>, dt, n_<table of a stage>.

    `events`: clicks, actions and conversions in one table.
    """

    impressions: DataFrame
    events: DataFrame
    snapshots: dict[str, DataFrame]
    rows: DataFrame


def assemble(tables: RawTables, settings: Settings, first: date, last: date) -> Assembled:
    """Judges everything that was read; `rows` are those of the days from first to last."""
    impressions = quality.checked_impressions(tables).cache()
    shown = quality.usable(impressions)
    events = attribute(tables, shown, settings.attribution).cache()
    snapshots = {
        name: quality.checked_snapshot(table, SNAPSHOTS[name]).cache() for name, table in tables.snapshots().items()
    }
    rows = joined(
        _labelled(shown.where(F.col("day").between(first, last)), events, settings),
        {name: quality.usable(table) for name, table in snapshots.items()},
        settings.features,
    )
    rows = with_domain(rows, settings.domain_feature)
    return Assembled(impressions, events, snapshots, rows.cache())


def _labelled(shown: DataFrame, events: DataFrame, settings: Settings) -> DataFrame:
    """Impressions with labels; an impression without events was not clicked, and no other label is defined."""
    outcome = labels(events, settings.labels)
    columns = [*label_columns(settings.labels.kinds), *(f"n_{name}" for name in STAGES)]
    nothing = dict.fromkeys(columns, 0) | {"click_defined": 1}
    return shown.withColumnRenamed("day", "dt").join(outcome, on=["dt", "impression_id"], how="left").fillna(nothing)


def day_totals(rows: DataFrame, labels: Sequence[str]) -> dict[date, dict[str, float]]:
    """Per day: rows, n_<table of a stage>, and the sum of every label (exact, so that row order does not matter)."""
    sums = [F.sum(F.col(c).cast("decimal(20,9)")).cast("double").alias(c) for c in labels]
    used = [F.sum(f"n_{name}").alias(f"n_{name}") for name in STAGES]
    found = rows.groupBy("dt").agg(F.count("*").alias("rows"), *used, *sums).collect()
    return {row.dt: {name: row[name] for name in row.asDict() if name != "dt"} for row in found}
