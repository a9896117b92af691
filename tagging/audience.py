"""From blocks of users to audiences by tag.

The workers write the pairs of their block that score enough, a batch at a time; Spark then sorts them by tag. Memory is
bounded by a batch of users x tags, and by what Spark sorts at once, whatever the audiences come to.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import torch
from pyspark.broadcast import Broadcast
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from etl import parquet
from etl.contract import AUDIENCE
from tagging.blocks import OfBlock, file_of, sorted_users
from tagging.calibration import Calibration
from tagging.export import Export
from tagging.score import above

SCHEMA = pyarrow.schema([("tag", pyarrow.string()), ("user_id", pyarrow.string()), ("score", pyarrow.float32())])
# of a block and task; reached: users who are in any audience; tag_users: users by tag, in the order of Export.tag_ids
SUMMARY = "task string, users bigint, reached bigint, tag_users array<bigint>"


@dataclass(frozen=True)
class Work:
    """As tagging.profile.Work. from_score: task -> the least score of an audience."""

    export: Export
    tags: list[str]
    columns: list[str]
    folders: dict[str, Path]
    calibrations: dict[str, Calibration]
    from_score: dict[str, float]


def worker(work: "Broadcast[Work]") -> OfBlock:
    """The function for tagging.blocks.over_blocks: users -> SUMMARY, a row a task."""

    def find(key: tuple[pyarrow.Scalar, ...], users: pyarrow.Table) -> pyarrow.Table:
        torch.set_num_threads(1)  # Spark keeps every core busy with a worker of its own
        return find_block(work.value, key[0].as_py(), users)

    return find


def find_block(work: Work, block: int, users: pyarrow.Table) -> pyarrow.Table:
    """Writes the pairs of one block that score enough, in no order that matters."""
    names, ids = sorted_users(users, work.columns)
    tags, summaries = pyarrow.array(work.tags), []
    for task, folder in work.folders.items():
        counts, reached = np.zeros(len(work.tags), dtype=np.int64), 0
        with pyarrow.parquet.ParquetWriter(folder / file_of(block), SCHEMA) as file:
            for user, tag, score in above(work.export, ids, task, work.from_score[task], work.calibrations[task]):
                columns = [tags.take(tag.numpy()), names.take(user.numpy()), pyarrow.array(score.numpy())]
                file.write_table(pyarrow.table([pyarrow.array(c) for c in columns], schema=SCHEMA))
                counts += np.bincount(tag.numpy(), minlength=len(work.tags))
                reached += len(torch.unique_consecutive(user))
        summaries.append({"task": task, "users": len(ids), "reached": reached, "tag_users": counts.tolist()})
    return pyarrow.Table.from_pylist(summaries)


def files_of(sizes: dict[str, int]) -> dict[str, int]:
    """Tag -> number of its file, in order of tag; a new file begins where the rows before make up a whole one."""
    numbers, rows = {}, 0
    for tag in sorted(tag for tag, users in sizes.items() if users):
        numbers[tag] = rows // parquet.ROWS_A_FILE
        rows += sizes[tag]
    return numbers


def sort_by_tag(spark: SparkSession, pairs: Path, numbers: dict[str, int], folder: Path) -> None:
    """The blocks' pairs -> files of whole audiences, rows in order of tag, best score and user."""
    if not numbers:
        return
    places = F.broadcast(spark.createDataFrame(list(numbers.items()), "tag string, file int"))
    rows = spark.read.parquet(str(pairs)).join(places, on="tag", how="inner")
    order = [F.col("tag"), F.col("score").desc(), F.col("user_id")]
    parquet.write_partitions(rows, AUDIENCE, [], order, folder, files=F.col("file"))
