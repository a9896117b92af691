"""The users of a day, spread over Spark a block at a time.

A block holds the users whose id hashes to its number, so that what is computed together, and with it the last
bit of every score and the bytes of every file, does not depend on how Spark partitions its work.
"""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import torch
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from torch import Tensor

from conf.settings.run_file import Settings
from etl.artefact import fresh
from etl.contract import users_schema

# large enough to make few files, small enough for a worker's memory
BLOCK_USERS = 2**16

SAID = "block int, said string"  # JSON
OfBlock = Callable[[tuple[pyarrow.Scalar, ...], pyarrow.Table], pyarrow.Table]


def count(users: int) -> int:
    return math.ceil(users / BLOCK_USERS)


def over_blocks(
    spark: SparkSession, settings: Settings, users: Path, blocks: int, work: OfBlock
) -> list[dict[str, Any]]:
    """Calls work((block number,), its rows of users/dt=D) in the workers; what it says of each, in order of block."""
    schema = ", ".join(f"{name} {kind}" for name, kind in users_schema(settings.features).items())
    said = (
        spark.read.schema(schema)
        .parquet(str(users))
        .withColumn("block", F.pmod(F.xxhash64("user_id"), F.lit(blocks)))
        # the number is given, so that Spark does not put blocks of few bytes but much work into one partition
        .repartition(max(blocks, settings.spark.shuffle_partitions), "block")
        .groupBy("block")
        .applyInArrow(work, SAID)
        .collect()
    )
    return [json.loads(row["said"]) for row in sorted(said, key=lambda row: row["block"])]


def resumed(notes: Path, folders: Sequence[Path], work: Mapping[str, Any]) -> int:
    """Blocks of the same work that a killed job has done; folders of other work are emptied. Pairs with `once`."""
    said, wanted = notes / "work.txt", json.dumps(work, sort_keys=True, default=str)
    if not said.is_file() or said.read_text() != wanted:
        for folder in (notes, *folders):
            fresh(folder)
        said.write_text(wanted)
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)  # one that was published already is filled again
    return len(list(notes.glob("*.json")))


def once(notes: Path, block: int, files: Iterable[Path], work: Callable[[], dict[str, Any]]) -> pyarrow.Table:
    """SAID: what the work on a block says of it, once; from then on read from a note while its files are there."""
    note = notes / f"{block:05d}.json"
    if not (note.is_file() and all(file.is_file() for file in files)):
        aside = note.with_suffix(".aside")
        aside.write_text(json.dumps(work()))
        aside.replace(note)
    return pyarrow.table({"block": pyarrow.array([block], pyarrow.int32()), "said": [note.read_text()]})


def file_of(block: int) -> str:
    return f"part-{block:05d}.parquet"


def sorted_users(users: pyarrow.Table, columns: list[str]) -> tuple[pyarrow.StringArray, Tensor]:
    """The user ids of a block in order, and the ids of their features [U, C_users]."""
    users = users.sort_by("user_id")
    ids = np.stack([users[column].to_numpy() for column in columns], axis=1).astype(np.int64)
    return users["user_id"].combine_chunks(), torch.from_numpy(ids)
