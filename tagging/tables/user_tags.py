"""user_tags: the best tags of each user, one table a task."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import torch

from conf.errors import InputError
from etl.artefact import file_hash
from etl.contract import USER_TAGS
from tagging.scoring.inputs import Inputs
from tagging.scoring.score import TopTags
from tagging.tables.manifests import BlockReport, add_tag_users, file_entry, shared_entries

POPULAR_TAGS = 30  # tags in `popular`

SCHEMA = USER_TAGS.schema()


def write(path: Path, users: pyarrow.StringArray, tags: pyarrow.StringArray, top: TopTags) -> dict[str, Any]:
    """Writes the rows of a block, in order of user_id and rank -> the report of the file.

    users: ids of the block's users, in order. tags: names of Export.tag_ids. In the report tag_users is the number of
    users of each tag, in the same order.
    """
    columns = [users.take(top.user.numpy()), tags.take(top.tag.numpy()), top.score.numpy(), top.rank.int().numpy()]
    pyarrow.parquet.write_table(pyarrow.table([pyarrow.array(c) for c in columns], schema=SCHEMA), path)
    best = top.score[top.rank == 1].double()
    return {
        "name": path.name,
        "sha256": file_hash(path),
        "users": len(users),
        "users_tagged": len(best),
        "rows": len(top.user),
        "score_sum": float(top.score.double().sum()),
        "top_score_sum": float(best.sum()),
        "tag_users": torch.bincount(top.tag, minlength=len(tags)).tolist(),
    }


def manifest(inputs: Inputs, reports: Sequence[BlockReport], task: str) -> dict[str, Any]:
    """coverage: share of users with a tag; tags_per_user and mean scores are over those.

    Raises InputError when not every user was scored.
    """
    settings, files = inputs.run.settings.tagging, [report["user_tags"][task] for report in reports]
    users, tagged, rows = (sum(file[name] for file in files) for name in ("users", "users_tagged", "rows"))
    if users != inputs.user_count:
        raise InputError(
            f"{users} users were scored, not {inputs.user_count}", where=inputs.users_folder, hint="run the job again"
        )
    counts = np.array(add_tag_users(files))
    tags, order = list(inputs.tags.values()), np.argsort(-counts, kind="stable")[:POPULAR_TAGS]
    return {
        **shared_entries(inputs),
        "task": task,
        "top_k": settings.top_k,
        "min_score": settings.min_score,
        "calibration": inputs.calibrations[task].report(),
        "users_tagged": tagged,
        "rows": rows,
        "tags_in_use": int((counts > 0).sum()),
        "coverage": tagged / users,
        "tags_per_user": rows / max(tagged, 1),
        "mean_score": math.fsum(file["score_sum"] for file in files) / max(rows, 1),
        "mean_top_score": math.fsum(file["top_score_sum"] for file in files) / max(tagged, 1),
        "popular": [[tags[n], int(counts[n])] for n in order if counts[n] > 0],
        "files": [file_entry(file) for file in files],
    }
