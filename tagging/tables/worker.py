"""Writes everything that is published of a block of users, in one pass over their scores. Runs in the Spark workers."""

from dataclasses import dataclass
from typing import Any

import pyarrow
import torch
from pyspark.broadcast import Broadcast

from tagging.scoring.calibration import Calibration
from tagging.scoring.export import Export
from tagging.scoring.score import concatenate, score_batches
from tagging.tables import profiles, user_tags
from tagging.tables.blocks import BlockFunction, file_name, report_row, sorted_users
from tagging.tables.folders import BlockFolders
from tagging.tables.pairs import PairWriter
from tagging.tables.progress import run_once


@dataclass(frozen=True)
class WorkerContext:
    """What workers need for any block; sent to them once.

    tags: names of Export.tag_ids. features: the columns of each user feature. thresholds: task -> smallest score of an
    audience.
    """

    export: Export
    tags: list[str]
    features: list[list[str]]
    folders: BlockFolders
    calibrations: dict[str, Calibration]
    top_k: int
    min_score: float
    thresholds: dict[str, float]


def block_function(context: "Broadcast[WorkerContext]") -> BlockFunction:
    """The function for blocks.map_blocks."""

    def tag_block(key: tuple[pyarrow.Scalar, ...], users: pyarrow.Table) -> pyarrow.Table:
        torch.set_num_threads(1)  # Spark keeps every core busy with a worker of its own
        block, folders = key[0].as_py(), context.value.folders
        files = [folder / file_name(block) for folder in folders.data]
        report = run_once(folders.progress, block, files, lambda: write_block(context.value, block, users))
        return report_row(block, report)

    return tag_block


def write_block(context: WorkerContext, block: int, users: pyarrow.Table) -> dict[str, Any]:
    """Writes the files of one block -> its report: table -> the report of its writer, or one for each task."""
    columns = [column for feature in context.features for column in feature]
    names, ids = sorted_users(users, columns)
    tags, folders, file = pyarrow.array(context.tags), context.folders, file_name(block)
    report: dict[str, Any] = {"user_tags": {}, "audience": {}}
    top_tags = {}
    for task, calibration in context.calibrations.items():
        pairs, parts = PairWriter(folders.pairs[task] / file, names, tags), []
        for scores in score_batches(context.export, ids, task, calibration):
            parts.append(scores.top(context.top_k, context.min_score))
            pairs.add(*scores.at_least(context.thresholds[task]))
        top_tags[task] = concatenate(parts)
        report["audience"][task] = pairs.close()
        report["user_tags"][task] = user_tags.write(folders.user_tags[task] / file, names, tags, top_tags[task])
    widths = [len(feature) for feature in context.features]
    report["profiles"] = profiles.write(folders.profiles / file, names, torch.split(ids, widths, dim=1), tags, top_tags)
    return report
