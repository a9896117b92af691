"""What changed in the tags since the day before, and when that is too much to publish."""

import math
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from conf import cli
from conf.errors import InputError
from conf.paths import Paths
from conf.settings.run_file import Settings
from etl.artefact import file_hash, is_published, read_manifest, write_manifest
from etl.contract import PROFILE_DIFF
from trainer.daily.run import ONE_DAY

UNIT = 1e-9  # of a score: shifts are summed as whole numbers of it, so that no order of summing changes the sum


def last_tagged(settings: Settings, day: date, task: str) -> date | None:
    """The day before, or where that one has no tags (it was refused), the last one that has; none at all on the first.

    A day that was refused must not let the next one pass unseen.
    """
    start, paths = settings.training.start, Paths(settings.lake.root)
    days = cli.days(start, day - ONE_DAY) if start < day else []
    return next((d for d in reversed(days) if is_published(paths.user_tags(d, task))), None)


def by_tag(spark: SparkSession, task: str, before: Path, now: Path) -> pd.DataFrame:
    """Two folders of user_tags -> the rows of contract.PROFILE_DIFF for one task, in order of tag.

    gained, lost, kept: users who have the tag now only, before only, both times. score_shift: the mean over those who
    kept it, NaN without any.
    """
    old, new = (_tags(spark, folder, score) for folder, score in ((before, "old"), (now, "new")))
    change = F.round((F.col("new").cast("double") - F.col("old").cast("double")) / UNIT).cast("bigint")
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
    found["score_shift"] = found["shift"].astype("float64") * UNIT / found["kept"].where(found["kept"] > 0)
    return found.assign(task=task)[list(PROFILE_DIFF)]


def _tags(spark: SparkSession, folder: Path, score: str) -> DataFrame:
    return spark.read.parquet(str(folder)).select("user_id", "tag", F.col("score").alias(score))


def figures(rows: pd.DataFrame, tagged: tuple[int, int], retired: list[str]) -> dict[str, Any]:
    """A task's changes in one line: users, and the tags of users, all tags together. tagged: users before and now.

    churn: the share of the tags that users had before and have no more. Tags that were retired are not counted in it:
    that they go is what was asked for.
    """
    had = rows[~rows["tag"].isin(retired)][["lost", "kept"]].sum()
    kept = int(rows["kept"].sum())
    before, now = tagged
    return {
        "users_tagged_before": before,
        "users_tagged": now,
        "coverage_ratio": now / before if before else 1.0,
        "gained": int(rows["gained"].sum()),
        "lost": int(rows["lost"].sum()),
        "kept": kept,
        "churn": float(had["lost"] / max(had.sum(), 1)),
        "score_shift": math.fsum(rows["score_shift"].fillna(0) * rows["kept"]) / max(kept, 1),
    }


def reasons(settings: Settings, of_tasks: dict[str, dict[str, Any]]) -> list[str]:
    """Why the day must not be published, as [tagging] sets it; none: it may."""
    bounds, found = settings.tagging, []
    for task, figure in of_tasks.items():
        if figure["coverage_ratio"] < bounds.min_coverage_ratio:
            found.append(
                f"{task}: {figure['users_tagged']:,} users with a tag, {figure['users_tagged_before']:,} before "
                f"(min_coverage_ratio = {bounds.min_coverage_ratio:g})"
            )
        if figure["churn"] > bounds.max_churn:
            found.append(
                f"{task}: {figure['churn']:.1%} of the tags that users had would go (max_churn = {bounds.max_churn:g})"
            )
    return found


def refusal(day: date, found: list[str]) -> InputError:
    return InputError(
        "; ".join(found),
        where=f"user_tags {day}",
        hint="look into it; to publish nevertheless, run this day's job with SPARSETAG_TAGGING__MAX_CHURN=1 "
        "SPARSETAG_TAGGING__MIN_COVERAGE_RATIO=0 before it",
    )


def write(folder: Path, rows: pd.DataFrame, manifest: dict[str, Any]) -> None:
    """One Parquet file and its manifest into a staging folder."""
    types = {"string": pyarrow.string(), "bigint": pyarrow.int64(), "double": pyarrow.float64()}
    schema = pyarrow.schema([(name, types[kind]) for name, kind in PROFILE_DIFF.items()])
    path = folder / "part-00000.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pandas(rows, schema=schema, preserve_index=False), path)
    files = [{"name": path.name, "rows": len(rows), "sha256": file_hash(path)}]
    write_manifest(folder, {**manifest, "files": files})


def users_tagged(folder: Path) -> int:
    return int(read_manifest(folder, hint="")["users_tagged"])
