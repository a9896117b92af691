"""audience: for each tag the users who score enough, one table a task.

Workers write the pairs of their block, and Spark sorts them by tag. So memory is bounded by a batch of users x tags and
by what Spark sorts at once, however large the audiences are.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from conf.errors import InputError
from etl.contract import AUDIENCE
from etl.spark import parquet
from tagging.scoring.inputs import Inputs
from tagging.tables.blocks import file_name
from tagging.tables.manifests import BlockReport, add_tag_users, shared_entries


def sizes(inputs: Inputs, reports: Sequence[BlockReport], task: str) -> dict[str, int]:
    """tag -> number of users in its audience"""
    counts = add_tag_users([report["audience"][task] for report in reports])
    return dict(zip(inputs.tags.values(), counts, strict=True))


def assign_files(sizes: Mapping[str, int]) -> dict[str, int]:
    """tag -> number of its file, in order of tag. A new file begins once the rows before fill one."""
    numbers, rows = {}, 0
    for tag in sorted(tag for tag, users in sizes.items() if users):
        numbers[tag] = rows // parquet.ROWS_A_FILE
        rows += sizes[tag]
    return numbers


def sort_by_tag(spark: SparkSession, pairs: Path, numbers: Mapping[str, int], folder: Path) -> None:
    """The blocks' pairs -> files of whole audiences, rows in order of tag, best score and user."""
    if not numbers:
        return
    files = F.broadcast(spark.createDataFrame(list(numbers.items()), "tag string, file int"))
    rows = spark.read.parquet(str(pairs)).join(files, on="tag", how="inner")
    order = [F.col("tag"), F.col("score").desc(), F.col("user_id")]
    parquet.write_partitions(rows, AUDIENCE.schema(), [], order, folder, files=F.col("file"))


def manifest(
    inputs: Inputs,
    reports: Sequence[BlockReport],
    task: str,
    threshold: float,
    numbers: Mapping[str, int],
    files: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """reached: users in any audience. Raises InputError when not every pair was written.

    numbers: tag -> number of its file. files: name, rows and hash of each.
    """
    users = sizes(inputs, reports, task)
    rows = sum(users.values())
    if sum(file["rows"] for file in files) != rows:
        raise InputError(
            f"not all of {rows} rows were written", where=f"audience {inputs.day} {task}", hint="run the job again"
        )
    return {
        **shared_entries(inputs),
        "task": task,
        "from_score": threshold,
        "calibration": inputs.calibrations[task].report(),
        "reached": sum(report["audience"][task]["reached"] for report in reports),
        "rows": rows,
        "tags_in_use": len(numbers),
        "audiences": {
            tag: {"users": count, "file": file_name(numbers[tag]) if count else None} for tag, count in users.items()
        },
        "files": list(files),
    }
