"""JOB: the tags of all users for one day, by interest and by intention.

    python -m tagging.tag_users --config conf/demo.toml --day 2026-01-07

Every user of users/dt=D against every admitted tag of vocabulary/dt=D, with the tagger models/tagger/<run>/dt=D;
the best [tagging] top_k of each user go to user_tags/dt=D/task=T.
"""

import math
import shutil
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, cast

import numpy as np
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from conf import cli
from conf.load import load_settings
from conf.refusal import Refusal
from conf.settings import Settings
from etl.contract import columns_of, users_schema
from etl.publish import identity, is_published, publish_staged, read_manifest, write_manifest
from etl.session import session
from tagging.export import export
from tagging.figures import tag_popularity
from tagging.profile import SUMMARY, Work, worker
from trainer import reader, tracking, vocabulary
from trainer.daily_run import open_run
from trainer.family import DailyRun
from trainer.tagger import Tagger

# users of one output file: large enough to make few files, small enough for a worker's memory
BLOCK_USERS = 2**16
# tags listed in the manifest and shown in the picture
MOST_POPULAR = 30


def main() -> None:
    parser = cli.parser("Tag all users of a day.")
    parser.add_argument("--day", type=cli.day, required=True, help="the day of the users table and of the model")
    arguments = parser.parse_args()
    tag_users(load_settings(arguments.config), arguments.day, force=arguments.force)


def tag_users(settings: Settings, day: date, *, force: bool) -> None:
    """Scores, logs, publishes; a task whose tags are there already is left as it is unless forced."""
    run = open_run(settings, "tagger")
    paths = run.paths
    targets = {task.name: paths.user_tags(day, task.name) for task in run.objective.heads}
    todo = [task for task, target in targets.items() if force or not is_published(target)]
    done = [task for task in targets if task not in todo]
    for task in done:
        print(f"user_tags {day} {task}: present in {targets[task]}, nothing to do", flush=True)
    if not todo:
        return
    staged = {task: _fresh(paths.staging(targets[task])) for task in todo}
    manifests = {task: read_manifest(targets[task], remedy="") for task in done}
    manifests |= _score(run, day, staged)
    _log(run, day, {task: manifests[task] for task in targets})
    for task in todo:
        publish_staged(paths, staged[task], targets[task])
        print(f"user_tags {day} {task}: {_sentence(manifests[task])}", flush=True)


def _score(run: DailyRun, day: date, staged: dict[str, Path]) -> dict[str, dict[str, Any]]:
    """Fills the staging folders and returns their manifests."""
    settings, paths = run.settings, run.paths
    folder = paths.users(day)
    columns = columns_of(f for f in settings.features if f.table == "users")
    users = reader.check(folder, {**dict.fromkeys(columns, "int32"), "user_id": "string"})
    tags = vocabulary.values(paths, day, settings.tagger.tag_feature)
    if read_manifest(folder, remedy="").get("vocabulary") != vocabulary.vocabulary_identity(paths, day):
        raise Refusal(
            "encoded by another vocabulary than the day's",
            where=folder,
            remedy=f"build it again: python -m etl.build_users --day {day} --force",
        )
    if not tags:
        raise Refusal(
            f"no value of '{settings.tagger.tag_feature}' has an id yet",
            where=paths.vocabulary(day),
            remedy="start with more days, or lower [vocabulary] min_count",
        )
    tagger = cast(Tagger, run.restored(day)).cpu()
    print(f"user_tags {day}: {users:,} users x {len(tags):,} tags, {', '.join(staged)}", flush=True)
    work = Work(
        export=export(tagger, list(tags)),
        tags=list(tags.values()),
        columns=columns,
        folders={task: staging.resolve() for task, staging in staged.items()},
        top_k=settings.tagging.top_k,
        min_score=settings.tagging.min_score,
    )
    with session(settings.spark) as spark:
        summaries = score_blocks(spark, settings, folder, work, blocks=math.ceil(users / BLOCK_USERS))
    manifests = {}
    for task, staging in staged.items():
        manifests[task] = {
            "day": str(day),
            "task": task,
            "run": run.name,
            "top_k": settings.tagging.top_k,
            "min_score": settings.tagging.min_score,
            "made_from": _made_from(run, day),
            **_figures([s for s in summaries if s["task"] == task], work.tags),
        }
        if manifests[task]["users"] != users:
            raise Refusal(
                f"{manifests[task]['users']} users were scored, not {users}", where=folder, remedy="run again"
            )
        write_manifest(staging, manifests[task])
    return manifests


def score_blocks(spark: SparkSession, settings: Settings, users: Path, work: Work, blocks: int) -> list[Row]:
    """Spreads the blocks over Spark; each writes its files and reports on them (tagging/profile.py, SUMMARY)."""
    schema = ", ".join(f"{name} {kind}" for name, kind in users_schema(settings.features).items())
    return list(
        spark.read.schema(schema)
        .parquet(str(users))
        .withColumn("block", F.pmod(F.xxhash64("user_id"), F.lit(blocks)))
        # the number is given, so that Spark does not put blocks of few bytes but much work into one partition
        .repartition(max(blocks, settings.spark.shuffle_partitions), "block")
        .groupBy("block")
        .applyInArrow(worker(spark.sparkContext.broadcast(work)), SUMMARY)
        .orderBy("task", "name")
        .collect()
    )


def _figures(files: Sequence[Row], tags: Sequence[str]) -> dict[str, Any]:
    """What a task's files come to. coverage: share of users with a tag; tags_per_user and scores: over those."""
    users, tagged, rows = (sum(f[name] for f in files) for name in ("users", "tagged", "rows"))
    counts = np.sum([f["tag_users"] for f in files], axis=0)
    order = np.argsort(-counts, kind="stable")[:MOST_POPULAR]
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


def _made_from(run: DailyRun, day: date) -> dict[str, str]:
    paths = run.paths
    sources = {
        "users": paths.users(day),
        "vocabulary": paths.vocabulary(day),
        "model": paths.model(run.family, run.name, day),
    }
    return {name: identity(folder) for name, folder in sources.items()}


def _log(run: DailyRun, day: date, manifests: dict[str, dict[str, Any]]) -> None:
    """One MLflow run for the day with the figures of both tasks, and the same as a point of the history's curves."""
    settings = run.settings
    tags = {"family": run.family, "model": run.name, "job": "tag_users"}
    names = ("users_tagged", "coverage", "tags_per_user", "tags_in_use", "mean_score", "mean_top_score")
    values = {f"{task}_{name}": float(m[name]) for task, m in manifests.items() for name in names}
    step = (day - settings.training.start).days
    params = {"model": run.name, "top_k": settings.tagging.top_k, "min_score": settings.tagging.min_score}
    history = tracking.history(settings, "tagging", run.name, tags, params)
    history.metrics(values, day, step)
    made_from = _made_from(run, day)
    any_task = next(iter(manifests.values()))
    with tracking.run(
        settings,
        "tagging",
        f"{run.name} {day}",
        key=f"tagging/{run.name}/{day}",
        tags={**tags, "day": str(day)},
        parent=history,
    ) as tracked:
        tracked.params(
            {
                **params,
                "day": day,
                "users": any_task["users"],
                "tags": any_task["tags"],
                "model_identity": made_from["model"],
                "vocabulary_identity": made_from["vocabulary"],
            }
        )
        tracked.metrics(values, day, step)
        tracked.dataset(run.paths.users(day), made_from["users"], "tagging")
        popular = {task: m["popular"] for task, m in manifests.items()}
        tracked.figure(tag_popularity(popular, any_task["users"]), "tag_popularity")


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _sentence(manifest: dict[str, Any]) -> str:
    return (
        f"{manifest['rows']:,} rows, {manifest['tags_per_user']:.1f} tags a user, {manifest['coverage']:.1%} of "
        f"{manifest['users']:,} users, mean score {manifest['mean_score']:.3f}"
    )


if __name__ == "__main__":
    cli.run(main)
