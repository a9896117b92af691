"""JOB: the table of all users to tag on a day.

    python -m etl.build_users --config conf/demo.toml --day 2026-01-07

Every user of the users table and every user seen in samples up to that day, with the features of table users encoded
by that day's vocabulary. A user without attributes gets the trained id of unseen ones.
"""

import argparse
from datetime import date
from pathlib import Path

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from conf import cli
from conf.load import load_settings
from conf.paths import Paths
from conf.settings.run_file import Settings
from etl import sources
from etl.artefact import identity, is_published, publish, read_manifest, write_manifest
from etl.contract import users_schema
from etl.samples import day_files, features, quality, vocabulary
from etl.spark import parquet
from etl.spark.schema import require
from etl.spark.session import session


def parser() -> argparse.ArgumentParser:
    parsed = cli.parser("The table of all users to tag.")
    parsed.add_argument("--day", type=cli.day, required=True, help="the day whose vocabulary encodes them")
    return parsed


def main() -> None:
    arguments = parser().parse_args()
    build(load_settings(arguments.config), arguments.day, force=arguments.force)


def build(settings: Settings, day: date, *, force: bool = False) -> None:
    """Publishes users/dt=D; raises InputError when a day up to D has no samples."""
    paths = Paths(settings.lake.root)
    target = paths.users(day)
    if is_published(target) and not force:
        print(f"users {day}: there already", flush=True)
        return
    hint = f"build samples first: --from {settings.training.start} --to {day}"
    seen_on = [paths.samples(d) for d in cli.days(settings.training.start, day)]
    for folder in seen_on:
        read_manifest(folder, hint=hint)
    snapshot = vocabulary.read(paths.vocabulary(day), hint=hint)
    with session(settings.spark) as spark:
        known = sources.users(spark, settings)
        features.require(settings, [f for f in settings.features if f.table == "users"], {"users": known})
        judged = None if known is None else quality.checked_snapshot(known, "user_id").cache()
        rows_in, refused = _counted(judged)
        seen = spark.read.parquet(*map(str, seen_on)).select("user_id").distinct()
        encoded = _encoded(seen, judged, settings, day, snapshot)

        def fill(staging: Path) -> None:
            order = parquet.hash_order("user_id")
            parquet.write_partitions(encoded, users_schema(settings.features), [], order, staging)
            files = parquet.described(staging)
            rows = sum(file["rows"] for file in files)
            manifest = {
                "day": str(day),
                "rows": rows,
                "files": files,
                "rows_in": {"users": rows_in},
                "quarantined": {"users": refused},
                "schema": users_schema(settings.features),
                "vocabulary": identity(paths.vocabulary(day)),
                "settings_hash": day_files.settings_hash(settings),
            }
            write_manifest(staging, manifest)
            print(f"users {day}: {rows:,} users, {sum(refused.values()):,} quarantined", flush=True)

        publish(paths, target, fill)


def _counted(judged: DataFrame | None) -> tuple[int, dict[str, int]]:
    """Rows of the users table, and those refused by reason."""
    if judged is None:
        return 0, {}
    counts = {row["reason"]: row["count"] for row in judged.groupBy("reason").count().collect()}
    return sum(counts.values()), {reason: n for reason, n in sorted(counts.items(), key=str) if reason is not None}


def _encoded(
    seen: DataFrame, judged: DataFrame | None, settings: Settings, day: date, snapshot: pd.DataFrame
) -> DataFrame:
    """One row a user, known or seen: the columns of users_schema, and dt."""
    chosen = [f for f in settings.features if f.table == "users"]
    everyone, snapshots = seen, {}
    if judged is not None:
        snapshots["users"] = quality.usable(judged)
        everyone = seen.union(snapshots["users"].select("user_id")).distinct()
    raw = features.joined(everyone, snapshots, chosen).withColumn("dt", F.lit(day))
    schema = users_schema(settings.features)
    return require(features.encode(raw, chosen, features.lookup({day: snapshot}), schema), schema, "users")


if __name__ == "__main__":
    cli.run(main)
