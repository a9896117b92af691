"""comparisons/<name>: comparison.md for people, comparison.json for programs."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from conf import log
from conf.errors import InputError
from conf.paths import Paths, run_name
from conf.settings.run_file import Settings
from etl.artefact import file_hash, identity, is_published, publish, read_manifest, write_manifest
from trainer.comparison.differences import TEST, Difference, MeanAndSd, ModelComparison
from trainer.comparison.intervals import LEVEL, RESAMPLES, Interval
from trainer.comparison.request import Request
from trainer.comparison.traffic import Traffic
from trainer.evaluation.metrics import MetricName

TABLE, DATA = "comparison.md", "comparison.json"


def is_complete(settings: Settings, request: Request) -> bool:
    """Whether this comparison is published already; raises InputError when another one has its name."""
    target = Paths(settings.lake.root).comparison(request.name)
    if not is_published(target):
        return False
    if read_manifest(target, hint="")["asked"] != request.as_json():
        raise InputError(
            "a comparison of other models, seeds or days has this name",
            where=target,
            hint="choose another --name, or replace it with --force",
        )
    log.event("comparison is published already", name=request.name, folder=target)
    return True


def as_json(request: Request, comparisons: Mapping[str, ModelComparison], traffic: Traffic) -> dict[str, Any]:
    """What comparison.json holds; undefined is null."""
    return {
        "asked": request.as_json(),
        "test": TEST,
        "bootstrap": {"level": LEVEL, "resamples": RESAMPLES},
        "rows": traffic.total.impressions,
        "domains": {domain: asdict(clicks) for domain, clicks in traffic.domains.items()},
        "models": {model: _model_as_json(comparison) for model, comparison in comparisons.items()},
    }


def publish_comparison(settings: Settings, request: Request, table: str, content: Mapping[str, Any]) -> None:
    paths = Paths(settings.lake.root)
    runs = [run_name(model, seed) for model in request.models for seed in range(request.seeds)]
    predictions = {
        run: {str(day): identity(paths.predictions(request.family, run, day)) for day in request.days} for run in runs
    }

    def write(staging: Path) -> None:
        (staging / TABLE).write_text(table)
        (staging / DATA).write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
        files = {file: file_hash(staging / file) for file in (TABLE, DATA)}
        write_manifest(staging, {"asked": request.as_json(), "predictions": predictions, "files": files})

    target = paths.comparison(request.name)
    publish(paths, target, write)
    log.event("comparison published", name=request.name, models=len(request.models), seeds=request.seeds, folder=target)


def _model_as_json(comparison: ModelComparison) -> dict[str, Any]:
    return {
        "other_label": comparison.other_label,
        "spreads": _by_string(comparison.metrics),
        "differences": _by_string(comparison.differences),
        "intervals": _by_string(comparison.intervals),
        "difference_intervals": _by_string(comparison.difference_intervals),
        "by_day": {day: _by_string(metrics) for day, metrics in comparison.by_day.items()},
        "by_domain": {domain: _by_string(metrics) for domain, metrics in comparison.by_domain.items()},
        "by_activity": {group: _by_string(metrics) for group, metrics in comparison.by_activity.items()},
    }


def _by_string(values: Mapping[MetricName, MeanAndSd | Difference | Interval | None]) -> dict[str, Any]:
    return {str(name): asdict(value) if value else None for name, value in values.items()}
