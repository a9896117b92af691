"""JOB: the tags of all users for one day, by interest and by intention.

    python -m tagging.tag_users --config conf/demo.toml --day 2026-01-07

Every user of users/dt=D against every tag of vocabulary/dt=D that has an id and is not retired, with the tagger
models/tagger/<run>/dt=D; the best [tagging] top_k of each user go to user_tags/dt=D/task=T, their scores calibrated.
What changed since the day before goes to profile_diff/dt=D; a day that changes too much ([tagging] max_churn,
min_coverage_ratio) is refused, and nothing of it published.
"""

import math
import shutil
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import Row, SparkSession

from conf import cli
from conf.load import load_settings
from conf.refusal import Refusal
from conf.settings import Settings
from etl.contract import PROFILE_DIFF
from etl.publish import is_published, publish, publish_staged, read_manifest, write_manifest
from etl.session import session
from tagging import blocks, changes
from tagging.figures import MOST_TAGS
from tagging.inputs import Inputs, opened
from tagging.profile import SUMMARY, Work, worker
from tagging.tag_log import day_of_tags
from trainer.daily_run import open_run
from trainer.family import DailyRun


def main() -> None:
    parser = cli.parser("Tag all users of a day.")
    parser.add_argument("--day", type=cli.day, required=True, help="the day of the users table and of the model")
    arguments = parser.parse_args()
    tag_users(load_settings(arguments.config), arguments.day, force=arguments.force)


def tag_users(settings: Settings, day: date, *, force: bool) -> None:
    """Scores, compares, logs, publishes; a task whose tags are there already is left as it is unless forced."""
    run = open_run(settings, "tagger")
    paths = run.paths
    targets = {task: paths.user_tags(day, task) for task in run.objective.head_names}
    todo = [task for task, target in targets.items() if force or not is_published(target)]
    manifests = {task: read_manifest(targets[task], remedy="") for task in targets if task not in todo}
    for task in manifests:
        print(f"user_tags {day} {task}: present in {targets[task]}, nothing to do", flush=True)
    if not todo and is_published(paths.profile_diff(day)):
        return
    inputs = opened(run, day) if todo else None
    lie = {**targets, **{task: paths.staging(targets[task]) for task in todo}}
    notes = paths.staging(paths.user_tags(day, "notes"))
    if force:
        shutil.rmtree(notes, ignore_errors=True)
    with session(settings.spark) as spark:
        if inputs:
            manifests |= _score(spark, inputs, {task: lie[task] for task in todo}, notes)
        diff, by_tag = _compare(spark, run, day, lie)
    with day_of_tags(run, day, {task: manifests[task] for task in targets}, diff, by_tag) as tracked:
        if too_much := changes.reasons(settings, diff):
            tracked.params({"refused": "; ".join(too_much)})
            raise changes.refusal(day, too_much)
    shutil.rmtree(notes, ignore_errors=True)
    for task in todo:
        publish_staged(paths, lie[task], targets[task])
        print(f"user_tags {day} {task}: {_sentence(manifests[task])}", flush=True)
    content = {"day": str(day), "tasks": diff}
    publish(paths, paths.profile_diff(day), lambda staging: changes.write(staging, by_tag, content))


def _score(spark: SparkSession, inputs: Inputs, staged: Mapping[str, Path], notes: Path) -> dict[str, dict[str, Any]]:
    """Fills the staging folders, block by block; returns their manifests. Blocks that are noted are not done again."""
    settings, day = inputs.run.settings, inputs.day
    number = blocks.count(inputs.users)
    said = {
        "run": inputs.run.name,
        "top_k": settings.tagging.top_k,
        "min_score": settings.tagging.min_score,
        "made_from": inputs.made_from,
        "blocks": number,
    }
    done = blocks.resumed(notes, staged.values(), {**said, "tasks": list(staged)})
    print(
        f"user_tags {day}: {inputs.users:,} users x {len(inputs.tags):,} tags, {', '.join(staged)}"
        f"{f'; {done} of {number} blocks are done' if done else ''}",
        flush=True,
    )
    work = Work(
        export=inputs.export(),
        tags=list(inputs.tags.values()),
        columns=inputs.columns,
        folders={task: staging.resolve() for task, staging in staged.items()},
        notes=notes.resolve(),
        calibrations=inputs.calibrations,
        top_k=settings.tagging.top_k,
        min_score=settings.tagging.min_score,
    )
    spread = worker(spark.sparkContext.broadcast(work))
    found = blocks.over_blocks(spark, settings, inputs.folder, number, spread, SUMMARY)
    summaries = found.orderBy("task", "name").collect()
    manifests = {}
    for task, staging in staged.items():
        manifests[task] = {
            "day": str(day),
            "task": task,
            **said,
            "calibration": inputs.calibration_notes[task],
            **_figures([s for s in summaries if s["task"] == task], work.tags),
        }
        if manifests[task]["users"] != inputs.users:
            raise Refusal(
                f"{manifests[task]['users']} users were scored, not {inputs.users}",
                where=inputs.folder,
                remedy="run again",
            )
        write_manifest(staging, manifests[task])
    return manifests


def _compare(
    spark: SparkSession, run: DailyRun, day: date, lie: Mapping[str, Path]
) -> tuple[dict[str, dict[str, Any]], pd.DataFrame]:
    """By task, what changed since it was tagged last; and the rows of profile_diff. lie: where a task's tags are."""
    diff, rows = {}, []
    for task, now in lie.items():
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


def _figures(files: Sequence[Row], tags: Sequence[str]) -> dict[str, Any]:
    """What a task's files come to. coverage: share of users with a tag; tags_per_user and scores: over those."""
    users, tagged, rows = (sum(f[name] for f in files) for name in ("users", "tagged", "rows"))
    counts = np.sum([f["tag_users"] for f in files], axis=0)
    order = np.argsort(-counts, kind="stable")[:MOST_TAGS]
    return {
        "users": users,
        "users_tagged": tagged,
        "rows": rows,
        "tags": len(tags),
        "tags_in_use": int((counts > 0).sum()),
        "coverage": tagged / users,
        "tags_per_user": rows / max(tagged, 1),
        "mean_score": math.fsum(f["score_sum"] for f in files) / max(rows, 1),
        "mean_top_score": math.fsum(f["top_score_sum"] for f in files) / max(tagged, 1),
        "popular": [[tags[n], int(counts[n])] for n in order if counts[n] > 0],
        "files": [{"name": f["name"], "rows": f["rows"], "sha256": f["sha256"]} for f in files],
    }


def _sentence(manifest: dict[str, Any]) -> str:
    return (
        f"{manifest['rows']:,} rows, {manifest['tags_per_user']:.1f} tags a user, {manifest['coverage']:.1%} of "
        f"{manifest['users']:,} users, mean score {manifest['mean_score']:.3f}"
    )


if __name__ == "__main__":
    cli.run(main)
