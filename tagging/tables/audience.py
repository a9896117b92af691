"""From blocks of users to audiences by tag.

The workers write the pairs of their block that score enough, a batch at a time; Spark then sorts them by tag. Memory is
bounded by a batch of users x tags, and by what Spark sorts at once, whatever the audiences come to.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import torch
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from torch import Tensor

from etl.contract import AUDIENCE
from etl.spark import parquet

SCHEMA = pyarrow.schema([("tag", pyarrow.string()), ("user_id", pyarrow.string()), ("score", pyarrow.float32())])


class Pairs:
    """The file of a block's pairs of one task that score enough, in no order that matters.

    names: of the block's users, in order. tags: of Export.tag_ids.
    """

    def __init__(self, path: Path, names: pyarrow.StringArray, tags: pyarrow.StringArray) -> None:
        self.names, self.tags = names, tags
        self.file = pyarrow.parquet.ParquetWriter(path, SCHEMA)
        self.counts, self.reached = np.zeros(len(tags), dtype=np.int64), 0

    def add(self, user: Tensor, tag: Tensor, score: Tensor) -> None:
        """Pairs of some users, all pairs of a user at once, as tagging.score.Scores.above has them."""
        columns = [self.tags.take(tag.numpy()), self.names.take(user.numpy()), pyarrow.array(score.numpy())]
        self.file.write_table(pyarrow.table(columns, schema=SCHEMA))
        self.counts += np.bincount(tag.numpy(), minlength=len(self.tags))
        self.reached += len(torch.unique_consecutive(user))

    def close(self) -> dict[str, Any]:
        """What is said of it. reached: users in any audience; tag_users: users by tag, in the order of the tags."""
        self.file.close()
        return {"reached": self.reached, "tag_users": self.counts.tolist()}


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
