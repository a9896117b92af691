"""What the manifests of a day's tables have in common, and how the workers' reports become one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tagging.scoring.inputs import Inputs
from tagging.tables import blocks

BlockReport = Mapping[str, Any]  # tagging.tables.worker.write_block returns it


@dataclass(frozen=True)
class Manifests:
    """The manifests of a day's tables; of user_tags and audience by task."""

    user_tags: dict[str, dict[str, Any]]
    profiles: dict[str, Any]
    audience: dict[str, dict[str, Any]]


def shared_entries(inputs: Inputs) -> dict[str, Any]:
    """The entries that are the same in all manifests of a day."""
    return {
        "day": str(inputs.day),
        "run": inputs.run.name,
        "users": inputs.user_count,
        "tags": len(inputs.tags),
        "blocks": blocks.count(inputs.user_count),
        "made_from": inputs.made_from,
    }


def file_entry(report: Mapping[str, Any]) -> dict[str, Any]:
    return {name: report[name] for name in ("name", "rows", "sha256")}


def add_tag_users(reports: Sequence[Mapping[str, Any]]) -> list[int]:
    """Users of each tag, all blocks together."""
    return [sum(counts) for counts in zip(*(report["tag_users"] for report in reports), strict=True)]
