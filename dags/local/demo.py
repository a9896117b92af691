"""`make demo`: the whole daily pipeline on a simulated world, run by a real Airflow scheduler.

The DAG `generate_masks` builds the history as a range and finds the masks. The days after it, up to `[daily] last`, go
through the DAG `daily` one by one. Published results are not made again.
"""

import argparse
import os
import sys
import time
from datetime import date, timedelta

from conf import cli, log
from conf.errors import InputError
from conf.paths import Paths, run_name
from conf.settings.run_file import Settings
from dags.local.airflow_api import AirflowApi
from dags.local.processes import watch
from dags.local.progress import Progress, RunFailed
from dags.local.services import HOME, USER, Served, serving
from dags.local.summary import summary
from dags.run_file import CONFIG, masks_wanted, settings, validation_day
from etl.artefact import is_published


def main() -> None:
    argparse.ArgumentParser(description="Run the whole pipeline on a simulated world under Airflow.").parse_args()
    run_settings = settings()
    log.configure(run_settings.log.format)
    last = run_settings.daily.last
    first = validation_day(run_settings) + timedelta(days=1)
    if last is None or last < first:
        raise InputError(f"[daily] last = {last}", where=CONFIG, hint=f"set it to {first} or later")
    days = cli.days(first, last)
    try:
        with serving() as served:
            print(served, flush=True)
            _run(run_settings, days, served)
            print(f"\n{summary(run_settings, cli.days(run_settings.training.start, last))}\n\n{served}", flush=True)
            if not os.environ.get("CI"):
                print("Both run until Ctrl-C; `make ui` serves them again.", flush=True)
                while True:
                    watch(served.services)
                    time.sleep(1)
    except RunFailed as failure:
        print(f"\n{failure}", file=sys.stderr, flush=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _run(run_settings: Settings, days: list[date], served: Served) -> None:
    """Lets the scheduler make what is not published yet."""
    airflow = AirflowApi.log_in(served.airflow, USER, served.password)
    progress = Progress(airflow, served.services, HOME / "logs", as_json=run_settings.log.format == "json")
    for dag_id in ("generate_masks", "daily", "compare_models", "compare_taggers"):
        airflow.unpause(dag_id)
    if not _history_is_published(run_settings):
        progress.follow("generate_masks", airflow.trigger("generate_masks"), "history")
    missing = [day for day in days if not _is_published(run_settings, day)]
    if not missing:
        progress.report("daily", "", "every day is published already")
        return
    airflow.backfill("daily", missing[0], days[-1])
    try:
        for day in missing:
            progress.follow("daily", _run_id(airflow, day), str(day))
    except RunFailed:
        airflow.cancel_backfills("daily")
        raise


def _history_is_published(run_settings: Settings) -> bool:
    """Whether everything that the DAG `generate_masks` makes is published."""
    paths = Paths(run_settings.lake.root)
    samples = [paths.samples(day) for day in cli.days(run_settings.training.start, validation_day(run_settings))]
    masks = [paths.masks(section, version) for section, version in masks_wanted(run_settings).items()]
    return all(map(is_published, [*samples, *masks]))


def _is_published(run_settings: Settings, day: date) -> bool:
    """Whether everything that the DAG `daily` makes of a day is published."""
    paths, seed = Paths(run_settings.lake.root), run_settings.training.seed
    artefacts = [
        paths.samples(day),
        paths.users(day),
        paths.model("ranker", run_name(run_settings.ranker.model, seed), day),
        paths.model("tagger", run_name(run_settings.tagger.model, seed), day),
        paths.user_tags(day, "interest"),
        paths.user_tags(day, "intention"),
        paths.profile_diff(day),
        paths.profiles(day),
        paths.audience(day, "interest"),
        paths.audience(day, "intention"),
    ]
    return all(map(is_published, artefacts))


def _run_id(airflow: AirflowApi, day: date) -> str:
    run_id = airflow.run_of("daily", day)
    if run_id is None:
        raise InputError(f"Airflow created no run for {day}", where="DAG daily", hint="see lake/airflow/services")
    return run_id


if __name__ == "__main__":
    cli.run(main)
