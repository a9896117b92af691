"""JOB: raw logs -> samples, vocabulary and quarantine of a day, or of a range of days in one pass.

    python -m etl.build_samples --config conf/demo.toml --day 2026-01-01
    python -m etl.build_samples --config conf/demo.toml --from 2026-01-01 --to 2026-01-06

A range gives the same tables as its days one by one. Samples are published last: once they are there, the day is done.
"""

import argparse
from datetime import date, timedelta

from conf import cli
from conf.errors import InputError
from conf.log import event
from conf.paths import Paths
from conf.settings.run_file import Settings
from etl.artefact import is_published, up_to_date
from etl.samples import vocabulary
from etl.samples.build_range import build_range
from etl.samples.hints import build_command
from etl.samples.settings_hash import settings_hash
from etl.samples.staging import exclusive
from etl.spark.session import session


def parser() -> argparse.ArgumentParser:
    parser = cli.parser("Raw logs to samples, vocabulary and quarantine.")
    cli.add_days(parser)
    return parser


def main() -> None:
    arguments = parser().parse_args()
    build(cli.load(arguments), cli.chosen_days(arguments), force=arguments.force)


def build(settings: Settings, days: list[date], *, force: bool = False) -> None:
    """Builds the missing days (all of them when forced); raises InputError and then publishes nothing."""
    paths = Paths(settings.lake.root)
    todo = [day for day in days if force or not _is_built(paths, settings, day)]
    if not todo:
        return
    vocabulary.before(paths, settings, todo[0])
    with exclusive(paths) as staging, session(settings.spark) as spark:
        for run in _without_gaps(todo):
            build_range(spark, settings, run, staging)


def _is_built(paths: Paths, settings: Settings, day: date) -> bool:
    """Raises InputError when the day was built with other settings."""
    target = paths.samples(day)
    if not is_published(target):
        return False
    if not up_to_date(target, {"settings_hash": settings_hash(settings)}):
        rebuild = build_command(settings.training.start, "<last day>")
        raise InputError(
            "was built with other settings of source, attribution, labels, vocabulary, domain or features",
            where=target,
            hint=f"choose another [lake] root, or rebuild all days: {rebuild} --force",
        )
    event("samples are published already", day=day, folder=target)
    return True


def _without_gaps(days: list[date]) -> list[list[date]]:
    """Splits days into runs of consecutive ones."""
    runs: list[list[date]] = []
    for day in days:
        if runs and day - runs[-1][-1] == timedelta(days=1):
            runs[-1].append(day)
        else:
            runs.append([day])
    return runs


if __name__ == "__main__":
    cli.run(main)
