"""What changed in the tags since they were published last."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from conf import cli, log
from conf.paths import Paths
from conf.settings.run_file import Settings
from etl.artefact import is_published, read_manifest
from etl.contract import PROFILE_DIFF
from trainer.daily.run import ONE_DAY

SHIFT_UNIT = 1e-9  # shifts are summed as whole multiples of it, so the order of summation cannot change the sum


@dataclass(frozen=True)
class Changes:
    """by_tag: rows of contract.PROFILE_DIFF. by_task: change_metrics and the day `compared_with`.

    Tasks without earlier tags are in neither.
    """

    by_tag: pd.DataFrame
    by_task: dict[str, dict[str, Any]]


def compare(spark: SparkSession, settings: Settings, day: date, user_tags: Mapping[str, Path]) -> Changes:
    """Holds the tags of a day (task -> folder) against those published last."""
    by_tag, by_task = [], {}
    for task, folder in user_tags.items():
        before = last_tagged(settings, day, task)
        if before is None:
            log.event("no earlier tags to compare with", day=day, task=task)
            continue
        earlier = Paths(settings.lake.root).user_tags(before, task)
        rows = changes_by_tag(spark, task, earlier, folder)
        metrics = change_metrics(rows, users_tagged(earlier), users_tagged(folder), settings.tagging.retired)
        by_tag.append(rows)
        by_task[task] = {"compared_with": str(before), **metrics}
        shown = {name: metrics[name] for name in ("churn", "score_shift")}
        log.event("tags compared", day=day, task=task, compared_with=before, **shown)
    empty = pd.DataFrame(columns=PROFILE_DIFF.names)
    return Changes(pd.concat(by_tag, ignore_index=True) if by_tag else empty, by_task)


def last_tagged(settings: Settings, day: date, task: str) -> date | None:
    """The last day before `day` with published tags, None without any.

    Usually yesterday. When yesterday was refused it has no tags, and today must not pass unchecked.
    """
    start, paths = settings.training.start, Paths(settings.lake.root)
    days = cli.days(start, day - ONE_DAY) if start < day else []
    return next((d for d in reversed(days) if is_published(paths.user_tags(d, task))), None)


def changes_by_tag(spark: SparkSession, task: str, before: Path, now: Path) -> pd.DataFrame:
    """Two folders of user_tags -> the rows of contract.PROFILE_DIFF for one task, in order of tag.

    gained, lost, kept: users who have the tag now only, before only, both times. score_shift: mean over those who kept
    it, NaN without any.
    """
    old, new = (_read_tags(spark, folder, score) for folder, score in ((before, "old"), (now, "new")))
    change = F.round((F.col("new").cast("double") - F.col("old").cast("double")) / SHIFT_UNIT).cast("bigint")
    found = (
        old.join(new, on=["user_id", "tag"], how="full")
        .groupBy("tag")
        .agg(
            F.count_if(F.col("old").isNull()).alias("gained"),
            F.count_if(F.col("new").isNull()).alias("lost"),
            F.count(change).alias("kept"),
            F.sum(change).alias("shift"),
        )
        .orderBy("tag")
        .toPandas()
    )
    found["score_shift"] = found["shift"].astype("float64") * SHIFT_UNIT / found["kept"].where(found["kept"] > 0)
    return found.assign(task=task)[PROFILE_DIFF.names]


def _read_tags(spark: SparkSession, folder: Path, score: str) -> DataFrame:
    return spark.read.parquet(str(folder)).select("user_id", "tag", F.col("score").alias(score))


def change_metrics(by_tag: pd.DataFrame, users_before: int, users_now: int, retired: list[str]) -> dict[str, Any]:
    """The changes of one task, all tags together. users_before, users_now: users with a tag.

    churn: share of the (user, tag) pairs of before that are gone. Retired tags do not count: somebody removed them.
    """
    had = by_tag[~by_tag["tag"].isin(retired)][["lost", "kept"]].sum()
    kept = int(by_tag["kept"].sum())
    return {
        "users_tagged_before": users_before,
        "users_tagged": users_now,
        "coverage_ratio": users_now / users_before if users_before else 1.0,
        "gained": int(by_tag["gained"].sum()),
        "lost": int(by_tag["lost"].sum()),
        "kept": kept,
        "churn": float(had["lost"] / max(had.sum(), 1)),
        "score_shift": math.fsum(by_tag["score_shift"].fillna(0) * by_tag["kept"]) / max(kept, 1),
    }


def users_tagged(folder: Path) -> int:
    return int(read_manifest(folder, hint="")["users_tagged"])
