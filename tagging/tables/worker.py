"""All that is published of a block of users, in one pass over their scores. Runs in the Spark workers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
import torch
from pyspark.broadcast import Broadcast

from tagging.scoring.calibration import Calibration
from tagging.scoring.export import Export
from tagging.scoring.score import joined, scored
from tagging.tables import profiles, user_tags
from tagging.tables.audience import Pairs
from tagging.tables.blocks import OfBlock, file_of, once, sorted_users


@dataclass(frozen=True)
class Folders:
    """Where files go: user_tags and the pairs of audiences by task, profiles; notes: what is done (blocks.once)."""

    tags: dict[str, Path]
    pairs: dict[str, Path]
    profiles: Path
    notes: Path

    @property
    def all(self) -> list[Path]:
        return [*self.tags.values(), *self.pairs.values(), self.profiles]


@dataclass(frozen=True)
class Work:
    """What a worker needs, whichever block it gets; sent once.

    tags: the names of Export.tag_ids. features: the columns of each user feature. from_score: the least of an audience.
    """

    export: Export
    tags: list[str]
    features: list[list[str]]
    folders: Folders
    calibrations: dict[str, Calibration]
    top_k: int
    min_score: float
    from_score: dict[str, float]


def worker(work: "Broadcast[Work]") -> OfBlock:
    """The function for tagging.blocks.over_blocks."""

    def tag(key: tuple[pyarrow.Scalar, ...], users: pyarrow.Table) -> pyarrow.Table:
        torch.set_num_threads(1)  # Spark keeps every core busy with a worker of its own
        block, folders = key[0].as_py(), work.value.folders
        files = [folder / file_of(block) for folder in folders.all]
        return once(folders.notes, block, files, lambda: write_block(work.value, block, users))

    return tag


def write_block(work: Work, block: int, users: pyarrow.Table) -> dict[str, Any]:
    """Writes the files of one block; returns what is said of each: by table, and where there are several, by task."""
    columns = [column for feature in work.features for column in feature]
    names, ids = sorted_users(users, columns)
    tags, folders, file = pyarrow.array(work.tags), work.folders, file_of(block)
    said: dict[str, Any] = {"user_tags": {}, "audience": {}}
    tops = {}
    for task, calibration in work.calibrations.items():
        pairs, parts = Pairs(folders.pairs[task] / file, names, tags), []
        for scores in scored(work.export, ids, task, calibration):
            parts.append(scores.top(work.top_k, work.min_score))
            pairs.add(*scores.above(work.from_score[task]))
        tops[task] = joined(parts)
        said["audience"][task] = pairs.close()
        said["user_tags"][task] = user_tags.write(folders.tags[task] / file, names, tags, tops[task])
    features = [[columns.index(column) for column in feature] for feature in work.features]
    said["profiles"] = profiles.write(folders.profiles / file, names, ids, features, tags, tops)
    return said
