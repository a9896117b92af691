"""JOB: tags all users of one day by interest and intention, and builds profiles and audiences.

    sparsetag tag_users --config conf/demo.toml --day 2026-01-07

Scores every user of users/dt=D for every tag of vocabulary/dt=D that has an id and is not retired, with the tagger
models/tagger/<run>/dt=D. One pass over the scores makes three tables:

- user_tags/dt=D/task=T: each user's [tagging] top_k best tags, with calibrated scores;
- profiles/dt=D: one row a user, with the tags of all tasks (MVKE section 3.2). known_features = 0 means that nothing is
  known of the user, who then gets the tags of an unknown user like all others of that kind;
- audience/dt=D/task=T: for each tag everybody who scores [tagging] audience or more, even if the tag is not among the
  user's best, in order of tag and score, best first. A tag lies in one file, which the manifest names.

profile_diff/dt=D holds what changed since the day before. A day that changes too much ([tagging] max_churn,
min_coverage_ratio) is refused, and none of it is published.
"""

import argparse
import shutil
from datetime import date

from conf import cli, log
from conf.errors import InputError
from conf.settings.run_file import Settings
from etl.artefact import is_published, publish, publish_staged
from etl.spark.session import session
from tagging.monitoring import limits
from tagging.monitoring.changes import compare
from tagging.monitoring.log import tracked_day
from tagging.scoring.inputs import open_inputs
from tagging.tables import profile_diff
from tagging.tables.build import build_tables
from tagging.tables.folders import BlockFolders, TableFolders
from tagging.tables.manifests import Manifests
from trainer.daily.open import TaggerRun, open_tagger

DEFAULT_THRESHOLD = 0.5  # of an audience, for tasks that [tagging] audience does not name


def parser() -> argparse.ArgumentParser:
    parsed = cli.parser("Tag all users of a day.")
    parsed.add_argument("--day", type=cli.day, required=True, help="the day of the users table and of the model")
    return parsed


def main() -> None:
    arguments = parser().parse_args()
    tag_users(cli.load(arguments), arguments.day, force=arguments.force)


def tag_users(settings: Settings, day: date, *, force: bool) -> None:
    """Builds, compares, logs and publishes the tables of a day; does nothing when all are published, unless forced."""
    run = open_tagger(settings)
    paths, thresholds = run.paths, audience_thresholds(run)
    tables = TableFolders.published(paths, day, thresholds)
    if not force and all(map(is_published, [*tables.all, paths.profile_diff(day)])):
        log.event("users are tagged already", day=day)
        return
    inputs, staged = open_inputs(run, day), tables.staged(paths)
    folders = BlockFolders.of(paths, day, staged)
    if force:
        shutil.rmtree(folders.progress, ignore_errors=True)
    with session(settings.spark) as spark:
        manifests = build_tables(spark, inputs, thresholds, staged, folders)
        changes = compare(spark, run.settings, day, staged.user_tags)
    with tracked_day(inputs, manifests, changes) as tracked:
        if reasons := limits.exceeded(run.settings.tagging, changes.by_task):
            tracked.params({"refused": "; ".join(reasons)})
            raise limits.refusal(day, reasons)
    for target, staging in zip(tables.all, staged.all, strict=True):
        publish_staged(paths, staging, target)
    for folder in folders.temporary:
        shutil.rmtree(folder, ignore_errors=True)
    publish(
        paths,
        paths.profile_diff(day),
        lambda staging: profile_diff.write(staging, day, changes.by_tag, changes.by_task),
    )
    _log_published(day, manifests)


def audience_thresholds(run: TaggerRun) -> dict[str, float]:
    """task -> smallest score of an audience; raises InputError when [tagging] audience names another task."""
    declared, tasks = run.settings.tagging.audience, run.objective.head_names
    if unknown := sorted(set(declared) - set(tasks)):
        raise InputError(
            f"the tagger has no task '{unknown[0]}'",
            where="[tagging] audience",
            hint=f"choose from: {', '.join(tasks)}",
        )
    return {task: declared.get(task, DEFAULT_THRESHOLD) for task in tasks}


def _log_published(day: date, manifests: Manifests) -> None:
    for task, tags in manifests.user_tags.items():
        audience = manifests.audience[task]
        log.event(
            "users tagged",
            day=day,
            task=task,
            rows=tags["rows"],
            tags_per_user=tags["tags_per_user"],
            coverage=tags["coverage"],
            mean_score=tags["mean_score"],
            audience_rows=audience["rows"],
            audience_users=audience["reached"],
        )


if __name__ == "__main__":
    cli.run(main)
