"""Builds consecutive days in one pass: read once, judge, count, encode, write aside, then publish day by day."""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pandas as pd
from pyspark.sql import SparkSession

from conf.errors import InputError
from conf.paths import Paths
from conf.settings.run_file import Settings
from etl.contract import RAW, SNAPSHOTS, label_columns, samples_schema, spark_types
from etl.samples import raw_features, vocabulary
from etl.samples.assemble import assemble, day_totals
from etl.samples.attribution import window_days
from etl.samples.encoding import lookups
from etl.samples.feature_checks import feedback_columns, refuse_text, require_columns
from etl.samples.publishing import check_day, publish_day
from etl.samples.row_counts import RowCounts, count_rows, refused
from etl.samples.settings_hash import fingerprint, settings_hash
from etl.samples.staging import Staging
from etl.samples.statistics import value_statistics
from etl.samples.writing import write_quarantine, write_samples
from etl.sources.base import RawTables, Source
from etl.sources.open import open_source


def build_range(spark: SparkSession, settings: Settings, days: list[date], staging: Staging) -> None:
    """Publishes samples, vocabulary and quarantine of the days; raises InputError and then publishes nothing."""
    paths = Paths(settings.lake.root)
    previous = vocabulary.before(paths, settings, days[0])
    source = open_source(settings)
    tables = source.read(spark, days[0], days[-1], window_days(settings.attribution))
    _check_features(settings, source, tables)
    parts = assemble(tables, settings, days[0], days[-1])
    counts = count_rows(tables, parts.impressions, parts.events, parts.snapshots)
    totals = day_totals(parts.rows, label_columns(settings.labels.kinds))
    _refuse_empty(days, counts, totals)

    snapshots = _snapshots(previous, raw_features.counts(parts.rows, settings.features), days, settings)
    vocabulary.refuse_fork(paths, days[-1], snapshots[days[-1]])
    sizes = {day: int(totals[day]["rows"]) for day in days}
    write_samples(staging, settings, parts.rows, lookups(snapshots), sizes)
    write_quarantine(staging, parts, days)

    manifests = {
        day: {
            **_manifest(settings, day, counts, totals[day]),
            "values": value_statistics(staging.samples(day), settings.features),
            "vocabulary": vocabulary.sizes(snapshots[day], settings.features),
            "inputs": source.inputs(day, window_days(settings.attribution)),
        }
        for day in days
    }
    for day in days:
        check_day(staging, day, manifests[day], totals[day], counts)
    for day in days:
        publish_day(paths, staging, day, snapshots[day], manifests[day])
    spark.catalog.clearCache()


def _check_features(settings: Settings, source: Source, tables: RawTables) -> None:
    having = {"impressions": tables.impressions, **tables.snapshots()}
    feedback = feedback_columns(settings.labels.kinds) | source.feedback
    require_columns(settings.features, having, feedback)
    refuse_text(settings.features, having)


def _refuse_empty(days: list[date], counts: RowCounts, totals: Mapping[date, Mapping[str, float]]) -> None:
    for day in days:
        if not counts.get(("impressions", day)):
            raise InputError(
                "the source has no impressions of that day", where=f"day {day}", hint="bring the logs of that day first"
            )
        if day not in totals:
            why = ", ".join(f"{n:,} {reason}" for reason, n in refused(counts, "impressions", day).items())
            raise InputError(
                f"no impression of that day is usable: {why}", where=f"day {day}", hint="fix the logs of that day"
            )


def _snapshots(
    previous: pd.DataFrame, seen: pd.DataFrame, days: list[date], settings: Settings
) -> dict[date, pd.DataFrame]:
    """The vocabulary of each day; `seen`: as raw_features.counts gives it."""
    thresholds, snapshots = vocabulary.thresholds(settings), {}
    for day in days:
        today = seen.loc[seen["dt"] == day, ["feature", "value", "n"]]
        snapshots[day] = previous = vocabulary.advance(previous, today, day, thresholds)
    return snapshots


def _manifest(settings: Settings, day: date, counts: RowCounts, totals: Mapping[str, float]) -> dict[str, Any]:
    """What the counts and settings say of a day's samples."""
    schema = spark_types(samples_schema(settings))
    counted = {table: (table, None if table in SNAPSHOTS else day) for table in RAW}
    return {
        "day": str(day),
        "rows": int(totals["rows"]),
        "rows_in": {table: sum(counts.get(key, {}).values()) for table, key in counted.items()},
        "quarantined": {table: refused(counts, *key) for table, key in counted.items()},
        "label_sums": {name: totals[name] for name in label_columns(settings.labels.kinds)},
        "schema": schema,
        "schema_hash": fingerprint(schema),
        "settings_hash": settings_hash(settings),
    }
