"""Builds user_tags, profiles and audience of a day in their staging folders."""

from collections.abc import Mapping
from typing import Any

from pyspark.sql import SparkSession

from conf import log
from etl.artefact import describe_files, empty_folder, write_manifest
from etl.contract import feature_columns
from tagging.scoring.inputs import Inputs
from tagging.tables import audience, blocks, profiles, progress, user_tags
from tagging.tables.folders import BlockFolders, TableFolders
from tagging.tables.manifests import Manifests, shared_entries
from tagging.tables.worker import WorkerContext, block_function


def build_tables(
    spark: SparkSession, inputs: Inputs, thresholds: dict[str, float], staged: TableFolders, folders: BlockFolders
) -> Manifests:
    """Scores all users, sorts the audiences, and writes all manifests. thresholds: by task, of audiences."""
    reports = _score_blocks(spark, inputs, thresholds, folders)
    manifests = Manifests({}, profiles.manifest(inputs, reports), {})
    write_manifest(staged.profiles, manifests.profiles)
    for task, threshold in thresholds.items():
        manifests.user_tags[task] = user_tags.manifest(inputs, reports, task)
        write_manifest(staged.user_tags[task], manifests.user_tags[task])
        numbers = audience.assign_files(audience.sizes(inputs, reports, task))
        folder = empty_folder(staged.audience[task])
        audience.sort_by_tag(spark, folders.pairs[task], numbers, folder.resolve())
        files = describe_files(folder)
        manifests.audience[task] = audience.manifest(inputs, reports, task, threshold, numbers, files)
        write_manifest(folder, manifests.audience[task])
    return manifests


def _score_blocks(
    spark: SparkSession, inputs: Inputs, thresholds: Mapping[str, float], folders: BlockFolders
) -> list[dict[str, Any]]:
    """Fills the workers' folders -> the reports of all blocks. Skips blocks that a killed job has finished."""
    settings, count = inputs.run.settings, blocks.count(inputs.user_count)
    made_from = {
        **shared_entries(inputs),
        "top_k": settings.tagging.top_k,
        "min_score": settings.tagging.min_score,
        "thresholds": thresholds,
    }
    finished = progress.resume(folders.progress, folders.data, made_from)
    log.event(
        "scoring users",
        day=inputs.day,
        users=inputs.user_count,
        tags=len(inputs.tags),
        tasks=",".join(thresholds),
        blocks=count,
        finished_blocks=finished,
    )
    context = WorkerContext(
        export=inputs.export(),
        tags=list(inputs.tags.values()),
        features=[feature_columns(feature) for feature in inputs.run.layout.of_table("users")],
        folders=folders,
        calibrations={task: calibration.curve for task, calibration in inputs.calibrations.items()},
        top_k=settings.tagging.top_k,
        min_score=settings.tagging.min_score,
        thresholds=dict(thresholds),
    )
    function = block_function(spark.sparkContext.broadcast(context))
    return blocks.map_blocks(spark, settings, inputs.users_folder, count, function)
