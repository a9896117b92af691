"""The tags of a block of users: feature ids in, one Parquet file for each task out. Runs in the Spark workers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import torch
from pyspark.broadcast import Broadcast

from etl.publish import file_hash
from tagging.blocks import OfBlock, file_of, once, sorted_users
from tagging.calibration import Calibration
from tagging.export import Export
from tagging.score import TopTags, top_tags

# pyarrow's names for the columns of etl.contract.USER_TAGS
SCHEMA = pyarrow.schema(
    [
        ("user_id", pyarrow.string()),
        ("tag", pyarrow.string()),
        ("score", pyarrow.float32()),
        ("rank", pyarrow.int32()),
    ]
)
# what is said of each file, as a Spark schema; tag_users: users by tag, in the order of Export.tag_ids
SUMMARY = (
    "task string, name string, sha256 string, users bigint, tagged bigint, rows bigint, "
    "score_sum double, top_score_sum double, tag_users array<bigint>"
)


@dataclass(frozen=True)
class Work:
    """What a worker needs, whichever block it gets; sent once.

    tags: the names of Export.tag_ids. columns: the columns of the user features. folders: task -> where files go.
    notes: what is done already (blocks.once).
    """

    export: Export
    tags: list[str]
    columns: list[str]
    folders: dict[str, Path]
    notes: Path
    calibrations: dict[str, Calibration]
    top_k: int
    min_score: float


def worker(work: "Broadcast[Work]") -> OfBlock:
    """The function for tagging.blocks.over_blocks: users -> SUMMARY, a row a task."""

    def tag(key: tuple[pyarrow.Scalar, ...], users: pyarrow.Table) -> pyarrow.Table:
        torch.set_num_threads(1)  # Spark keeps every core busy with a worker of its own
        block = key[0].as_py()
        files = [folder / file_of(block) for folder in work.value.folders.values()]
        return once(work.value.notes, block, files, lambda: tag_block(work.value, block, users))

    return tag


def tag_block(work: Work, block: int, users: pyarrow.Table) -> list[dict[str, Any]]:
    """Writes the files of one block, rows in order of user_id and rank; returns the rows of SUMMARY."""
    names, ids = sorted_users(users, work.columns)
    summaries = []
    for task, folder in work.folders.items():
        top = top_tags(work.export, ids, task, work.top_k, work.min_score, work.calibrations[task])
        path = folder / file_of(block)
        pyarrow.parquet.write_table(_table(top, names, pyarrow.array(work.tags)), path)
        best = top.score[top.rank == 1].double()
        summaries.append(
            {
                "task": task,
                "name": path.name,
                "sha256": file_hash(path),
                "users": len(ids),
                "tagged": len(best),
                "rows": len(top.user),
                "score_sum": float(top.score.double().sum()),
                "top_score_sum": float(best.sum()),
                "tag_users": torch.bincount(top.tag, minlength=len(work.tags)).tolist(),
            }
        )
    return summaries


def _table(top: TopTags, names: pyarrow.StringArray, tags: pyarrow.StringArray) -> pyarrow.Table:
    columns = [names.take(top.user.numpy()), tags.take(top.tag.numpy()), top.score.numpy(), top.rank.int().numpy()]
    return pyarrow.table([pyarrow.array(c) for c in columns], schema=SCHEMA)
