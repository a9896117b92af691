"""JOB: for each tag the users to target, on one day.

    python -m tagging.build_audiences --config conf/demo.toml --day 2026-01-07

Every user who scores [tagging] audience or more for a tag is in its audience, also where the tag is not among the
user's best: all users are scored against all tags once more. audience/dt=D/task=T has the rows (tag, user_id, score) in
order of tag and best score; a tag lies in one file, which the manifest names beside the number of its users.
"""

import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.sql import SparkSession

from conf import cli
from conf.load import load_settings
from conf.refusal import Refusal
from conf.settings import Settings
from etl import parquet
from etl.publish import fresh, is_published, publish_staged, write_manifest
from etl.session import session
from tagging import audience, blocks
from tagging.build_profiles import again, tags_of
from tagging.figures import audience_sizes
from tagging.inputs import Inputs, opened
from trainer import tracking
from trainer.daily_run import open_run
from trainer.family import DailyRun

FROM_SCORE = 0.5  # where [tagging] audience does not name the task


def main() -> None:
    parser = cli.parser("Find the audience of every tag.")
    parser.add_argument("--day", type=cli.day, required=True)
    arguments = parser.parse_args()
    build_audiences(load_settings(arguments.config), arguments.day, force=arguments.force)


def build_audiences(settings: Settings, day: date, *, force: bool) -> None:
    """Scores, sorts, logs, publishes; raises Refusal when the day's tags are absent or of other inputs."""
    run = open_run(settings, "tagger")
    paths, from_score = run.paths, _from_scores(run)
    targets = {task: paths.audience(day, task) for task in from_score}
    if not force and all(map(is_published, targets.values())):
        print(f"audience {day}: present in {next(iter(targets.values())).parent}, nothing to do", flush=True)
        return
    inputs = opened(run, day)
    for task, manifest in tags_of(run, day).items():
        if manifest["made_from"] != inputs.made_from:
            raise Refusal(
                "made of other inputs than the audiences would be",
                where=paths.user_tags(day, task),
                remedy=f"{again(day)} --force",
            )
    staged = {task: fresh(paths.staging(target)) for task, target in targets.items()}
    pairs = {task: fresh(staging.with_name(f"{staging.name}.pairs")) for task, staging in staged.items()}
    with session(settings.spark) as spark:
        manifests = _build(spark, inputs, from_score, pairs, staged)
    _log(inputs, manifests)
    for task, target in targets.items():
        publish_staged(paths, staged[task], target)
        found = manifests[task]
        print(
            f"audience {day} {task}: {found['rows']:,} rows of {found['tags_in_use']:,} tags, "
            f"{found['reached']:,} of {inputs.users:,} users score {from_score[task]:g} or more",
            flush=True,
        )


def _from_scores(run: DailyRun) -> dict[str, float]:
    named, tasks = run.settings.tagging.audience, run.objective.head_names
    if unknown := sorted(set(named) - set(tasks)):
        raise Refusal(
            f"the tagger has no task '{unknown[0]}'",
            where="[tagging] audience",
            remedy=f"choose from: {', '.join(tasks)}",
        )
    return {task: named.get(task, FROM_SCORE) for task in tasks}


def _build(
    spark: SparkSession,
    inputs: Inputs,
    from_score: Mapping[str, float],
    pairs: Mapping[str, Path],
    staged: Mapping[str, Path],
) -> dict[str, dict[str, Any]]:
    """Fills the staging folders by way of the pairs of each block; returns their manifests."""
    settings, tags = inputs.run.settings, list(inputs.tags.values())
    print(f"audience {inputs.day}: {inputs.users:,} users x {len(tags):,} tags", flush=True)
    folders = {task: folder.resolve() for task, folder in pairs.items()}
    work = audience.Work(inputs.export(), tags, inputs.columns, folders, inputs.calibrations, dict(from_score))
    spread, number = audience.worker(spark.sparkContext.broadcast(work)), blocks.count(inputs.users)
    summaries = blocks.over_blocks(spark, settings, inputs.folder, number, spread, audience.SUMMARY).collect()
    manifests = {}
    for task, staging in staged.items():
        of_task = [s for s in summaries if s["task"] == task]
        counts = np.sum([s["tag_users"] for s in of_task], axis=0).tolist()
        sizes = dict(zip(tags, counts, strict=True))
        numbers = audience.files_of(sizes)
        audience.sort_by_tag(spark, pairs[task], numbers, staging.resolve())
        shutil.rmtree(pairs[task])
        files = parquet.described(staging)
        if sum(file["rows"] for file in files) != sum(counts) or sum(s["users"] for s in of_task) != inputs.users:
            raise Refusal("not all rows arrived", where=staging, remedy="run again")
        manifests[task] = {
            "day": str(inputs.day),
            "task": task,
            "run": inputs.run.name,
            "from_score": from_score[task],
            "calibration": inputs.calibration_notes[task],
            "made_from": inputs.made_from,
            "users": inputs.users,
            "reached": sum(s["reached"] for s in of_task),
            "rows": sum(counts),
            "tags_in_use": len(numbers),
            "audiences": {
                tag: {"users": users, "file": blocks.file_of(numbers[tag]) if users else None}
                for tag, users in sizes.items()
            },
            "files": files,
        }
        write_manifest(staging, manifests[task])
    return manifests


def _log(inputs: Inputs, manifests: Mapping[str, dict[str, Any]]) -> None:
    run, day = inputs.run, inputs.day
    tags = {"family": run.family, "model": run.name, "job": "build_audiences"}
    from_score = {task: float(of_task["from_score"]) for task, of_task in manifests.items()}
    names = {"rows": "audience_rows", "reached": "audience_users", "tags_in_use": "audience_tags"}
    values = {f"{t}_{shown}": float(of[name]) for t, of in manifests.items() for name, shown in names.items()}
    sizes = {
        task: {tag: found["users"] for tag, found in of_task["audiences"].items()}
        for task, of_task in manifests.items()
    }
    step = (day - run.settings.training.start).days
    history = tracking.history(run.settings, "tagging", run.name, tags, {"model": run.name})
    history.metrics(values, day, step)
    title, key = f"audience {run.name} {day}", f"audience/{run.name}/{day}"
    with tracking.run(
        run.settings, "tagging", title, key=key, tags={**tags, "day": str(day)}, parent=history
    ) as tracked:
        tracked.params({"model": run.name, "day": day, **{f"{t}_from_score": s for t, s in from_score.items()}})
        tracked.metrics(values, day, step)
        tracked.dataset(inputs.folder, inputs.made_from["users"], "tagging")
        tracked.figure(audience_sizes(sizes, from_score), "audience_sizes")


if __name__ == "__main__":
    cli.run(main)
