"""Spreads the users of a day over Spark, block by block.

A block holds the users whose id hashes to its number. So the users that are scored together, and with them the last bit
of every score and the bytes of every file, do not depend on how Spark partitions its work.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import torch
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from torch import Tensor

from conf.settings.run_file import Settings
from etl.contract import ddl, users_schema

# large enough to make few files, small enough for a worker's memory
BLOCK_USERS = 2**16

REPORT_SCHEMA = "block int, report string"  # JSON
BlockFunction = Callable[[tuple[pyarrow.Scalar, ...], pyarrow.Table], pyarrow.Table]


def count(users: int) -> int:
    return math.ceil(users / BLOCK_USERS)


def file_name(block: int) -> str:
    return f"part-{block:05d}.parquet"


def map_blocks(
    spark: SparkSession, settings: Settings, users: Path, blocks: int, function: BlockFunction
) -> list[dict[str, Any]]:
    """Calls function((block number,), its rows of users/dt=D) in the workers -> their reports, in order of block."""
    rows = (
        spark.read.schema(ddl(users_schema(settings.features)))
        .parquet(str(users))
        .withColumn("block", F.pmod(F.xxhash64("user_id"), F.lit(blocks)))
        # an explicit number, so that Spark does not put blocks of few bytes but much work into one partition
        .repartition(max(blocks, settings.spark.shuffle_partitions), "block")
        .groupBy("block")
        .applyInArrow(function, REPORT_SCHEMA)
        .collect()
    )
    return [json.loads(row["report"]) for row in sorted(rows, key=lambda row: row["block"])]


def report_row(block: int, report: str) -> pyarrow.Table:
    """What a block function returns: one row of REPORT_SCHEMA."""
    return pyarrow.table({"block": pyarrow.array([block], pyarrow.int32()), "report": [report]})


def sorted_users(users: pyarrow.Table, columns: list[str]) -> tuple[pyarrow.StringArray, Tensor]:
    """The user ids of a block in order, and the ids of their features [U, C_users]."""
    users = users.sort_by("user_id")
    ids = np.stack([users[column].to_numpy() for column in columns], axis=1).astype(np.int64)
    return users["user_id"].combine_chunks(), torch.from_numpy(ids)
