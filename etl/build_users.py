"""JOB: the table of all users to tag on a day.

    python -m etl.build_users --config conf/demo.toml --day 2026-01-07

Every user of the users table and every user seen in samples up to that day, with the features of table `users` encoded
by that day's vocabulary. A user without attributes gets the trained id of unseen values.
"""

import argparse
from datetime import date
from pathlib import Path

import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from conf import cli
from conf.log import event
from conf.paths import Paths
from conf.settings.run_file import Settings
from etl.artefact import describe_files, identity, is_published, publish, read_manifest, write_manifest
from etl.contract import spark_types, users_schema
from etl.samples import quality, vocabulary
from etl.samples.encoding import encode, lookups
from etl.samples.feature_checks import feedback_columns, require_columns
from etl.samples.hints import build_command
from etl.samples.raw_features import joined
from etl.samples.settings_hash import settings_hash
from etl.sources.open import open_source
from etl.spark import parquet
from etl.spark.session import session


def parser() -> argparse.ArgumentParser:
    parser = cli.parser("The table of all users to tag.")
    parser.add_argument("--day", type=cli.day, required=True, help="the day whose vocabulary encodes the users")
    return parser


def main() -> None:
    arguments = parser().parse_args()
    build(cli.load(arguments), arguments.day, force=arguments.force)


def build(settings: Settings, day: date, *, force: bool = False) -> None:
    """Publishes users/dt=D; raises InputError when a day up to D has no samples."""
    paths = Paths(settings.lake.root)
    target = paths.users(day)
    if is_published(target) and not force:
        event("users are published already", day=day, folder=target)
        return
    hint = f"build the samples first: {build_command(settings.training.start, day)}"
    sample_days = [paths.samples(d) for d in cli.days(settings.training.start, day)]
    for folder in sample_days:
        read_manifest(folder, hint=hint)
    snapshot = vocabulary.read(paths.vocabulary(day), hint=hint)
    source = open_source(settings)
    with session(settings.spark) as spark:
        table = source.users(spark)
        features = [f for f in settings.features if f.table == "users"]
        require_columns(features, {"users": table}, feedback_columns(settings.labels.kinds) | source.feedback)
        judged = None if table is None else quality.checked_snapshot(table, "user_id").cache()
        rows_in, refused = _counted(judged)
        seen = spark.read.parquet(*map(str, sample_days)).select("user_id").distinct()
        encoded = _encoded(seen, judged, settings, day, snapshot)
        schema = users_schema(settings.features)

        def fill(staging: Path) -> None:
            parquet.write_partitions(encoded, schema, [], parquet.hash_order("user_id"), staging)
            files = describe_files(staging)
            rows = sum(file["rows"] for file in files)
            manifest = {
                "day": str(day),
                "rows": rows,
                "files": files,
                "rows_in": {"users": rows_in},
                "quarantined": {"users": refused},
                "schema": spark_types(schema),
                "vocabulary": identity(paths.vocabulary(day)),
                "settings_hash": settings_hash(settings),
            }
            write_manifest(staging, manifest)
            event("users published", day=day, rows=rows, quarantined=sum(refused.values()))

        publish(paths, target, fill)


def _counted(judged: DataFrame | None) -> tuple[int, dict[str, int]]:
    """Rows of the users table, and the refused ones by reason."""
    if judged is None:
        return 0, {}
    counts = {row["reason"]: row["count"] for row in judged.groupBy("reason").count().collect()}
    return sum(counts.values()), {reason: n for reason, n in sorted(counts.items(), key=str) if reason is not None}


def _encoded(
    seen: DataFrame, judged: DataFrame | None, settings: Settings, day: date, snapshot: pd.DataFrame
) -> DataFrame:
    """One row a user, known or seen: the columns of users_schema, and dt."""
    features = [f for f in settings.features if f.table == "users"]
    everyone, snapshots = seen, {}
    if judged is not None:
        snapshots["users"] = quality.usable(judged)
        everyone = seen.union(snapshots["users"].select("user_id")).distinct()
    raw = joined(everyone, snapshots, features).withColumn("dt", F.lit(day))
    return encode(raw, features, lookups({day: snapshot}), users_schema(settings.features), "users")


if __name__ == "__main__":
    cli.run(main)
