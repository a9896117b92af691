"""JOB: raw logs -> samples, vocabulary and quarantine of a day, or of a range of days in one pass.

    python -m etl.build_samples --config conf/demo.toml --day 2026-01-01
    python -m etl.build_samples --config conf/demo.toml --from 2026-01-01 --to 2026-01-06

A range gives the same tables as its days one by one. Samples are published last: where they are, the day is done.
"""

import argparse
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark.sql import SparkSession

from conf import cli
from conf.errors import InputError
from conf.load import load_settings
from conf.paths import Paths
from conf.settings.run_file import Settings
from etl import sources
from etl.artefact import is_published, read_manifest
from etl.contract import RAW, label_columns, samples_schema
from etl.samples import attribution, day_files, features, vocabulary
from etl.samples.accounts import Accounts, balance, refused, take
from etl.samples.assemble import assemble, day_totals
from etl.spark.session import session


def parser() -> argparse.ArgumentParser:
    parsed = cli.parser("Raw logs to samples, vocabulary and quarantine.")
    cli.add_days(parsed)
    return parsed


def main() -> None:
    arguments = parser().parse_args()
    build(load_settings(arguments.config), cli.chosen_days(arguments), force=arguments.force)


def build(settings: Settings, days: list[date], *, force: bool = False) -> None:
    """Builds the missing days (all of them when forced); raises InputError and then publishes nothing."""
    paths = Paths(settings.lake.root)
    todo = [day for day in days if force or not _done(paths, settings, day)]
    if not todo:
        return
    vocabulary.before(paths, settings, todo[0])
    with day_files.exclusive(paths) as folder, session(settings.spark) as spark:
        for run in _runs(todo):
            build_run(spark, settings, run, folder)


def _done(paths: Paths, settings: Settings, day: date) -> bool:
    target = paths.samples(day)
    if not is_published(target):
        return False
    manifest = read_manifest(target, hint="re-run with --force")
    if manifest["settings_hash"] != day_files.settings_hash(settings):
        raise InputError(
            "was built with other settings of source, attribution, labels, vocabulary or features",
            where=target,
            hint="choose another [lake] root, or rebuild all days from [training] start with --force",
        )
    print(f"samples {day}: there already, {manifest['rows']:,} rows", flush=True)
    return True


def _runs(days: list[date]) -> list[list[date]]:
    """Days in runs without gaps."""
    runs: list[list[date]] = []
    for day in days:
        if runs and day - runs[-1][-1] == timedelta(days=1):
            runs[-1].append(day)
        else:
            runs.append([day])
    return runs


def build_run(spark: SparkSession, settings: Settings, days: list[date], folder: Path) -> None:
    """Reads once, judges, counts, encodes, writes aside to `folder`; then publishes day by day."""
    paths = Paths(settings.lake.root)
    previous = vocabulary.before(paths, settings, days[0])
    tables = sources.read(spark, settings, days[0], days[-1], attribution.window_days(settings.attribution))
    parts = assemble(tables, settings, days[0], days[-1])
    accounts = take(tables, parts.impressions, parts.steps, parts.snapshots)
    totals = day_totals(parts.rows, label_columns(settings.labels.kinds))
    _refuse_empty(days, accounts, totals)

    snapshots = _snapshots(previous, features.counts(parts.rows, settings.features), days, settings)
    vocabulary.refuse_fork(paths, days[-1], snapshots[days[-1]])
    sizes = {day: int(totals[day]["rows"]) for day in days}
    day_files.stage_samples(folder, settings, parts.rows, features.lookup(snapshots), sizes)
    day_files.stage_quarantine(folder, parts, days)

    manifests = {day: _manifest(folder, settings, day, accounts, totals[day], snapshots[day]) for day in days}
    for day in days:
        _check_balance(folder, day, manifests[day], totals[day], accounts)
    for day in days:
        _publish(paths, folder, day, snapshots[day], manifests[day])
    spark.catalog.clearCache()


def _refuse_empty(days: list[date], accounts: Accounts, totals: dict[date, dict[str, float]]) -> None:
    for day in days:
        if not accounts.get(("impressions", day)):
            raise InputError(
                "the source has no impressions of that day", where=f"day {day}", hint="bring its logs first"
            )
        if day not in totals:
            why = ", ".join(f"{n:,} {reason}" for reason, n in refused(accounts, "impressions", day).items())
            raise InputError(f"no impression of that day is usable: {why}", where=f"day {day}", hint="mend its logs")


def _snapshots(
    previous: pd.DataFrame, seen: pd.DataFrame, days: list[date], settings: Settings
) -> dict[date, pd.DataFrame]:
    thresholds, snapshots = vocabulary.thresholds(settings), {}
    for day in days:
        today = seen.loc[seen["dt"] == day, ["feature", "value", "n"]]
        snapshots[day] = previous = vocabulary.advance(previous, today, day, thresholds)
    return snapshots


def _manifest(
    folder: Path, settings: Settings, day: date, accounts: Accounts, totals: dict[str, float], snapshot: pd.DataFrame
) -> dict[str, Any]:
    margin = attribution.window_days(settings.attribution)
    schema = samples_schema(settings)
    places = {table: (table, None if table in features.KEYS else day) for table in RAW}
    return {
        "day": str(day),
        "rows": int(totals["rows"]),
        "rows_in": {table: sum(accounts.get(place, {}).values()) for table, place in places.items()},
        "quarantined": {table: refused(accounts, *place) for table, place in places.items()},
        "label_sums": {name: totals[name] for name in label_columns(settings.labels.kinds)},
        "values": day_files.value_statistics(day_files.samples_folder(folder, day), settings.features),
        "schema": schema,
        "schema_hash": day_files.fingerprint(schema),
        "vocabulary": vocabulary.sizes(snapshot, settings.features),
        "inputs": sources.inputs(settings, day, margin),
        "settings_hash": day_files.settings_hash(settings),
    }


def _check_balance(
    folder: Path, day: date, manifest: dict[str, Any], totals: dict[str, float], accounts: Accounts
) -> None:
    for table in RAW:
        if table == "impressions":
            out = day_files.rows_in_files(day_files.samples_folder(folder, day))
        elif table in features.KEYS:
            out = accounts.get((table, None), {}).get(None, 0)
        else:
            out = int(totals[f"n_{table}"])
        held = day_files.rows_in_files(day_files.quarantine_folder(folder, table, day))
        balance(table, day, manifest["rows_in"][table], out, held)


def _publish(paths: Paths, folder: Path, day: date, snapshot: pd.DataFrame, manifest: dict[str, Any]) -> None:
    """Quarantine, vocabulary, and last the samples."""
    for table, reasons in manifest["quarantined"].items():
        counted = {"day": str(day), "rows": sum(reasons.values()), "reasons": reasons}
        written = day_files.quarantine_folder(folder, table, day)
        day_files.publish_files(paths, written, paths.quarantine(table, day), counted)
    aside = folder / "vocabulary" / f"dt={day}"
    aside.mkdir(parents=True)
    vocabulary.write(snapshot, aside)
    described = {key: manifest[key] for key in ("day", "settings_hash")}
    described |= {"sizes": manifest["vocabulary"], "rows": len(snapshot)}
    day_files.publish_files(paths, aside, paths.vocabulary(day), described)
    day_files.publish_files(paths, day_files.samples_folder(folder, day), paths.samples(day), manifest)
    held = sum(n for reasons in manifest["quarantined"].values() for n in reasons.values())
    print(f"samples {day}: {manifest['rows']:,} rows, {held:,} quarantined", flush=True)


if __name__ == "__main__":
    cli.run(main)
