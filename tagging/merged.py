"""The merged profiles of a block of users: one row a user, with the tags of all tasks. Runs in the Spark workers.

The files of user_tags are those of the same blocks, so nothing has to be joined across blocks.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.compute
import pyarrow.parquet
import torch
from pyspark.broadcast import Broadcast

from etl.contract import FIRST_VALUE
from etl.publish import file_hash
from tagging import blocks

SUMMARY = "name string, sha256 string, rows bigint, unknown bigint, tagged bigint"
TAG = pyarrow.struct([("tag", pyarrow.string()), ("score", pyarrow.float32())])


@dataclass(frozen=True)
class Work:
    """features: the columns of each user feature. tags: task -> folder of its user_tags. folder: where files go."""

    features: list[list[str]]
    tags: dict[str, Path]
    folder: Path


def worker(work: "Broadcast[Work]") -> blocks.OfBlock:
    """The function for tagging.blocks.over_blocks: users -> SUMMARY, one row."""

    def merge(key: tuple[pyarrow.Scalar, ...], users: pyarrow.Table) -> pyarrow.Table:
        return merge_block(work.value, key[0].as_py(), users)

    return merge


def merge_block(work: Work, block: int, users: pyarrow.Table) -> pyarrow.Table:
    """Writes the profiles of one block, in order of user_id."""
    columns = [column for feature in work.features for column in feature]
    names, ids = blocks.sorted_users(users, columns)
    features = [[columns.index(column) for column in feature] for feature in work.features]
    known = torch.stack([(ids[:, places] >= FIRST_VALUE).any(dim=1) for places in features]).sum(dim=0).int()
    tags = {task: _lists(folder / blocks.file_of(block), names) for task, folder in work.tags.items()}
    table = pyarrow.table({"user_id": names, "known_features": pyarrow.array(known.numpy()), **tags})
    path = work.folder / blocks.file_of(block)
    pyarrow.parquet.write_table(table, path)
    summary = {
        "name": path.name,
        "sha256": file_hash(path),
        "rows": len(table),
        "unknown": int((known == 0).sum()),
        "tagged": sum(of_task.offsets[-1].as_py() for of_task in tags.values()),
    }
    return pyarrow.Table.from_pylist([summary])


def _lists(file: Path, names: pyarrow.StringArray) -> pyarrow.ListArray:
    """The tags of users in order of their ids -> for each a list of (tag, score); empty for those without."""
    rows = pyarrow.parquet.read_table(file, partitioning=None).combine_chunks()
    owner = pyarrow.compute.index_in(rows["user_id"], value_set=names).combine_chunks().drop_null().to_numpy()
    ends = np.cumsum(np.bincount(owner, minlength=len(names)))
    structs = pyarrow.StructArray.from_arrays([rows[f.name].combine_chunks() for f in TAG], fields=list(TAG))
    return pyarrow.ListArray.from_arrays(pyarrow.array([0, *ends], pyarrow.int32()), structs)
