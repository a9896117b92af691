"""What the workers say of their blocks, put together: the manifests of user_tags, profiles and audience."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from conf.errors import InputError
from tagging.monitoring.figures import MOST_TAGS
from tagging.scoring.inputs import Inputs
from tagging.tables import blocks

Said = Mapping[str, Any]  # of a block: tagging.block.write_block


def of_inputs(inputs: Inputs) -> dict[str, Any]:
    """What is the same in all manifests of a day."""
    return {
        "day": str(inputs.day),
        "run": inputs.run.name,
        "users": inputs.users,
        "tags": len(inputs.tags),
        "blocks": blocks.count(inputs.users),
        "made_from": inputs.made_from,
    }


def of_user_tags(inputs: Inputs, said: Sequence[Said], task: str) -> dict[str, Any]:
    """coverage: share of users with a tag; tags_per_user and scores: over those. InputError when users are lost."""
    settings, files = inputs.run.settings.tagging, [block["user_tags"][task] for block in said]
    users, tagged, rows = (sum(file[name] for file in files) for name in ("users", "tagged", "rows"))
    if users != inputs.users:
        raise InputError(f"{users} users were scored, not {inputs.users}", where=inputs.folder, hint="run again")
    counts = np.array(_tag_users(files))
    tags, order = list(inputs.tags.values()), np.argsort(-counts, kind="stable")[:MOST_TAGS]
    return {
        **of_inputs(inputs),
        "task": task,
        "top_k": settings.top_k,
        "min_score": settings.min_score,
        "calibration": inputs.calibration_notes[task],
        "users_tagged": tagged,
        "rows": rows,
        "tags_in_use": int((counts > 0).sum()),
        "coverage": tagged / users,
        "tags_per_user": rows / max(tagged, 1),
        "mean_score": math.fsum(file["score_sum"] for file in files) / max(rows, 1),
        "mean_top_score": math.fsum(file["top_score_sum"] for file in files) / max(tagged, 1),
        "popular": [[tags[n], int(counts[n])] for n in order if counts[n] > 0],
        "files": [_file(file) for file in files],
    }


def of_profiles(inputs: Inputs, said: Sequence[Said]) -> dict[str, Any]:
    """users_without_features: of whom nothing is known."""
    files = [block["profiles"] for block in said]
    return {
        **of_inputs(inputs),
        "rows": sum(file["rows"] for file in files),
        "users_without_features": sum(file["unknown"] for file in files),
        "files": [_file(file) for file in files],
    }


def sizes(inputs: Inputs, said: Sequence[Said], task: str) -> dict[str, int]:
    """Tag -> users of its audience."""
    counts = _tag_users([block["audience"][task] for block in said])
    return dict(zip(inputs.tags.values(), counts, strict=True))


def of_audience(
    inputs: Inputs,
    said: Sequence[Said],
    task: str,
    from_score: float,
    numbers: Mapping[str, int],
    files: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """numbers: tag -> number of its file. files: name, rows and hash of each. Raises InputError when rows are lost."""
    users = sizes(inputs, said, task)
    rows = sum(users.values())
    if sum(file["rows"] for file in files) != rows:
        raise InputError(f"not all of {rows} rows arrived", where=f"audience {inputs.day} {task}", hint="run again")
    return {
        **of_inputs(inputs),
        "task": task,
        "from_score": from_score,
        "calibration": inputs.calibration_notes[task],
        "reached": sum(block["audience"][task]["reached"] for block in said),
        "rows": rows,
        "tags_in_use": len(numbers),
        "audiences": {
            tag: {"users": count, "file": blocks.file_of(numbers[tag]) if count else None}
            for tag, count in users.items()
        },
        "files": list(files),
    }


def _tag_users(files: Sequence[Mapping[str, Any]]) -> list[int]:
    return [sum(of_tag) for of_tag in zip(*(file["tag_users"] for file in files), strict=True)]


def _file(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: said[name] for name in ("name", "rows", "sha256")}
