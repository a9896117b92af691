"""What a day shows of the clusters that a model routes rows to (AdaptDHM): shares, cosines of centres, revivals."""

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from conf import log
from etl.artefact import is_published, read_manifest
from trainer.parts.routing import ClusterReport
from trainer.tracking import figures

PICTURED_DAYS = 30
Reports = Mapping[str, ClusterReport]  # embedding that is routed by -> its clusters; "shared" when all heads share it


def metrics(reports: Reports) -> dict[str, float]:
    """cluster_<n>_share, cluster_cosine_<n>_<m>, clusters_revived; with the head's name in front if heads differ."""
    found: dict[str, float] = {}
    for name, report in reports.items():
        prefix = "" if len(reports) == 1 else f"{name}_"
        found |= {f"{prefix}cluster_{n}_share": share for n, share in enumerate(report.shares)}
        found |= {f"{prefix}cluster_cosine_{a}_{b}": cosine for (a, b), cosine in report.cosines.items()}
        found[f"{prefix}clusters_revived"] = float(sum(report.revived))
    return found


def as_json(reports: Reports) -> dict[str, Any]:
    """For the model's manifest, from which the picture of later days takes its history."""
    return {name: {"shares": report.shares, "revived": report.revived} for name, report in reports.items()}


def warn(reports: Reports, **of_model: object) -> None:
    """Says on the day it happens which clusters starved and were revived."""
    for name, report in reports.items():
        if starved := [n for n, times in enumerate(report.revived) if times]:
            log.warning("clusters starved and were revived", **of_model, routing=name, clusters=starved)


def shares_by_day(
    folders: Mapping[date, Path], day: date, reports: Reports
) -> dict[str, dict[str, tuple[Sequence[float], Sequence[int]]]]:
    """routing -> day -> (share of each cluster, times each was revived), of the models in `folders` and of today."""
    if not reports:
        return {}
    history = {
        str(before): read_manifest(folder, hint="train the day again: train_day --force").get("clusters", {})
        for before, folder in folders.items()
        if is_published(folder)
    }
    history[str(day)] = as_json(reports)
    return {
        name: {
            day: (of_day[name]["shares"], of_day[name]["revived"]) for day, of_day in history.items() if name in of_day
        }
        for name in reports
    }


def pictures(folders: Mapping[date, Path], day: date, reports: Reports) -> dict[str, Figure]:
    return {
        "cluster_shares_by_day" if len(reports) == 1 else f"{name}_cluster_shares_by_day": figures.cluster_shares(days)
        for name, days in shares_by_day(folders, day, reports).items()
    }
