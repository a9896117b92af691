"""Raw tables -> judged tables -> one row an impression with its labels and raw features."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from conf.settings.run_file import Settings
from etl.contract import label_columns
from etl.samples import features, quality
from etl.samples.attribution import STEPS, attribute, labels
from etl.sources.base import RawTables


@dataclass(frozen=True)
class Assembled:
    """The judged tables (each with `reason`) and `rows`: keys, labels, raw_<feature>, dt and n_<step table>."""

    impressions: DataFrame
    steps: DataFrame
    snapshots: dict[str, DataFrame]
    rows: DataFrame


def assemble(tables: RawTables, settings: Settings, first: date, last: date) -> Assembled:
    """Judges everything that was read; `rows` are those of the days asked for."""
    features.require(settings, settings.features, {"impressions": tables.impressions, **tables.snapshots()})
    features.refuse_text(settings.features, {"impressions": tables.impressions, **tables.snapshots()})
    impressions = quality.checked_impressions(tables).cache()
    shown = quality.usable(impressions)
    steps = attribute(tables, shown, settings.attribution).cache()
    snapshots = {
        name: quality.checked_snapshot(table, features.KEYS[name]).cache() for name, table in tables.snapshots().items()
    }
    rows = features.joined(
        _labelled(shown.where(F.col("day").between(first, last)), steps, settings),
        {name: quality.usable(table) for name, table in snapshots.items()},
        settings.features,
    )
    return Assembled(impressions, steps, snapshots, rows.cache())


def _labelled(shown: DataFrame, steps: DataFrame, settings: Settings) -> DataFrame:
    """Impressions with labels; one without any step was not clicked, and nothing more is defined."""
    outcome = labels(steps, settings.labels)
    columns = [*label_columns(settings.labels.kinds), *(f"n_{name}" for name in STEPS)]
    nothing = dict.fromkeys(columns, 0) | {"click_defined": 1}
    return shown.withColumnRenamed("day", "dt").join(outcome, on=["dt", "impression_id"], how="left").fillna(nothing)


def day_totals(rows: DataFrame, labels: Sequence[str]) -> dict[date, dict[str, float]]:
    """Per day: rows, n_<step table> used, and the sum of every label (exact, whatever the order of rows)."""
    exact = {c: F.sum(F.col(c).cast("decimal(20,9)")).cast("double").alias(c) for c in labels}
    used = [F.sum(f"n_{name}").alias(f"n_{name}") for name in STEPS]
    found = rows.groupBy("dt").agg(F.count("*").alias("rows"), *used, *exact.values()).collect()
    return {row.dt: {name: row[name] for name in row.asDict() if name != "dt"} for row in found}
