"""JOB: the tags of all users for one day, by interest and by intention, and what is made of them.

    python -m tagging.tag_users --config conf/demo.toml --day 2026-01-07

Every user of users/dt=D against every tag of vocabulary/dt=D that has an id and is not retired, with the tagger
models/tagger/<run>/dt=D. One pass over the scores makes three tables:

- user_tags/dt=D/task=T: the best [tagging] top_k of each user, their scores calibrated;
- profiles/dt=D: one row for each user, with the tags of all tasks (MVKE section 3.2). known_features = 0 says that
  nothing is known of a user: the tags are those of an unknown user, the same for all of them;
- audience/dt=D/task=T: for each tag everybody who scores [tagging] audience or more, also where the tag is not among
  the user's best, in order of tag and best score; a tag lies in one file, which the manifest names.

What changed since the day before goes to profile_diff/dt=D; a day that changes too much ([tagging] max_churn,
min_coverage_ratio) is refused, and nothing of it published.
"""

import argparse
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark.sql import SparkSession

from conf import cli
from conf.errors import InputError
from conf.load import load_settings
from conf.paths import Paths
from conf.settings.run_file import Settings
from etl.artefact import fresh, is_published, publish, publish_staged, write_manifest
from etl.contract import PROFILE_DIFF, feature_columns
from etl.spark import parquet
from etl.spark.session import session
from tagging.monitoring import changes
from tagging.monitoring.log import Manifests, day_of_tags
from tagging.scoring.inputs import Inputs, opened
from tagging.tables import audience, blocks, manifests
from tagging.tables.worker import Folders, Work, worker
from trainer.daily.open import TaggerRun, open_tagger

FROM_SCORE = 0.5  # of an audience, where [tagging] audience does not name the task


def parser() -> argparse.ArgumentParser:
    parsed = cli.parser("Tag all users of a day.")
    parsed.add_argument("--day", type=cli.day, required=True, help="the day of the users table and of the model")
    return parsed


def main() -> None:
    arguments = parser().parse_args()
    tag_users(load_settings(arguments.config), arguments.day, force=arguments.force)


@dataclass(frozen=True)
class Tables:
    """Where a day's tables lie, or are filled; user_tags and audience by task."""

    user_tags: dict[str, Path]
    profiles: Path
    audience: dict[str, Path]

    @property
    def all(self) -> list[Path]:
        return [*self.user_tags.values(), self.profiles, *self.audience.values()]

    @classmethod
    def of(cls, day: date, tasks: Iterable[str], paths: Paths) -> "Tables":
        audience = {task: paths.audience(day, task) for task in tasks}
        return cls({task: paths.user_tags(day, task) for task in tasks}, paths.profiles(day), audience)

    def staged(self, paths: Paths) -> "Tables":
        def all_of(tables: Mapping[str, Path]) -> dict[str, Path]:
            return {task: paths.staging(target) for task, target in tables.items()}

        return Tables(all_of(self.user_tags), paths.staging(self.profiles), all_of(self.audience))


def tag_users(settings: Settings, day: date, *, force: bool) -> None:
    """Scores, compares, logs, publishes; a day all of which is there is left as it is unless forced."""
    run = open_tagger(settings)
    paths, from_score = run.paths, _from_scores(run)
    tables = Tables.of(day, from_score, paths)
    if not force and all(map(is_published, [*tables.all, paths.profile_diff(day)])):
        where = next(iter(tables.user_tags.values())).parent
        print(f"user_tags {day}: present in {where}, and what is made of them, nothing to do", flush=True)
        return
    inputs, staged = opened(run, day), tables.staged(paths)
    folders = Folders(
        tags={task: folder.resolve() for task, folder in staged.user_tags.items()},
        pairs={task: folder.with_name(f"{folder.name}.pairs").resolve() for task, folder in staged.audience.items()},
        profiles=staged.profiles.resolve(),
        notes=paths.staging(paths.user_tags(day, "notes")).resolve(),
    )
    if force:
        shutil.rmtree(folders.notes, ignore_errors=True)
    with session(settings.spark) as spark:
        said = _score(spark, inputs, from_score, folders)
        made = _put_together(spark, inputs, from_score, said, folders, staged)
        diff, by_tag = _compare(spark, run, day, staged.user_tags)
    with day_of_tags(inputs, made, diff, by_tag) as tracked:
        if too_much := changes.reasons(settings, diff):
            tracked.params({"refused": "; ".join(too_much)})
            raise changes.refusal(day, too_much)
    for target, staging in zip(tables.all, staged.all, strict=True):
        publish_staged(paths, staging, target)
    for folder in (folders.notes, *folders.pairs.values()):
        shutil.rmtree(folder, ignore_errors=True)
    content = {"day": str(day), "tasks": diff}
    publish(paths, paths.profile_diff(day), lambda staging: changes.write(staging, by_tag, content))
    _say(made)


def _from_scores(run: TaggerRun) -> dict[str, float]:
    named, tasks = run.settings.tagging.audience, run.objective.head_names
    if unknown := sorted(set(named) - set(tasks)):
        raise InputError(
            f"the tagger has no task '{unknown[0]}'",
            where="[tagging] audience",
            hint=f"choose from: {', '.join(tasks)}",
        )
    return {task: named.get(task, FROM_SCORE) for task in tasks}


def _score(spark: SparkSession, inputs: Inputs, from_score: dict[str, float], folders: Folders) -> list[dict[str, Any]]:
    """Fills the workers' folders, block by block; what is said of each. Blocks that are noted are not done again."""
    settings, number = inputs.run.settings, blocks.count(inputs.users)
    depends_on = {
        **manifests.of_inputs(inputs),
        "top_k": settings.tagging.top_k,
        "min_score": settings.tagging.min_score,
        "from_score": from_score,
    }
    done = blocks.resumed(folders.notes, folders.all, depends_on)
    print(
        f"user_tags {inputs.day}: {inputs.users:,} users x {len(inputs.tags):,} tags, {', '.join(from_score)}"
        f"{f'; {done} of {number} blocks are done' if done else ''}",
        flush=True,
    )
    work = Work(
        export=inputs.export(),
        tags=list(inputs.tags.values()),
        features=[feature_columns(f) for f in settings.features if f.table == "users"],
        folders=folders,
        calibrations=inputs.calibrations,
        top_k=settings.tagging.top_k,
        min_score=settings.tagging.min_score,
        from_score=from_score,
    )
    spread = worker(spark.sparkContext.broadcast(work))
    return blocks.over_blocks(spark, settings, inputs.folder, number, spread)


def _put_together(
    spark: SparkSession,
    inputs: Inputs,
    from_score: Mapping[str, float],
    said: list[dict[str, Any]],
    folders: Folders,
    staged: Tables,
) -> Manifests:
    """Sorts the pairs into audiences, and writes the manifests of all tables."""
    made = Manifests({}, manifests.of_profiles(inputs, said), {})
    for task, least in from_score.items():
        made.user_tags[task] = manifests.of_user_tags(inputs, said, task)
        numbers, folder = audience.files_of(manifests.sizes(inputs, said, task)), fresh(staged.audience[task])
        audience.sort_by_tag(spark, folders.pairs[task], numbers, folder.resolve())
        files = parquet.described(folder)
        made.audience[task] = manifests.of_audience(inputs, said, task, least, numbers, files)
        write_manifest(staged.user_tags[task], made.user_tags[task])
        write_manifest(folder, made.audience[task])
    write_manifest(staged.profiles, made.profiles)
    return made


def _compare(
    spark: SparkSession, run: TaggerRun, day: date, staged: Mapping[str, Path]
) -> tuple[dict[str, dict[str, Any]], pd.DataFrame]:
    """By task, what changed since it was tagged last; and the rows of profile_diff."""
    diff, rows = {}, []
    for task, now in staged.items():
        before = changes.last_tagged(run.settings, day, task)
        if before is None:
            print(f"profile_diff {day} {task}: no tags before, nothing to compare with", flush=True)
            continue
        then = run.paths.user_tags(before, task)
        of_task = changes.by_tag(spark, task, then, now)
        tagged = (changes.users_tagged(then), changes.users_tagged(now))
        diff[task] = {
            "compared_with": str(before),
            **changes.figures(of_task, tagged, run.settings.tagging.retired),
        }
        rows.append(of_task)
        print(
            f"profile_diff {day} {task}: {diff[task]['churn']:.1%} of the tags of {before} went, "
            f"mean score {diff[task]['score_shift']:+.3f}",
            flush=True,
        )
    return diff, pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=list(PROFILE_DIFF))


def _say(made: Manifests) -> None:
    for task, tags in made.user_tags.items():
        reached = made.audience[task]
        print(
            f"user_tags {tags['day']} {task}: {tags['rows']:,} rows, {tags['tags_per_user']:.1f} tags a user, "
            f"{tags['coverage']:.1%} of {tags['users']:,} users, mean score {tags['mean_score']:.3f}; audience: "
            f"{reached['rows']:,} rows, {reached['reached']:,} users score {reached['from_score']:g} or more",
            flush=True,
        )


if __name__ == "__main__":
    cli.run(main)
