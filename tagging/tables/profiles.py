"""profiles: one row a user, with the tags of all tasks (MVKE section 3.2)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import torch
from torch import Tensor

from etl.artefact import file_hash
from etl.contract import FIRST_VALUE, profiles_schema
from tagging.scoring.inputs import Inputs
from tagging.scoring.score import TopTags
from tagging.tables.manifests import BlockReport, file_entry, shared_entries


def write(
    path: Path,
    users: pyarrow.StringArray,
    features: Sequence[Tensor],
    tags: pyarrow.StringArray,
    top_tags: Mapping[str, TopTags],
) -> dict[str, Any]:
    """Writes the rows of a block, in order of user_id -> the report of the file.

    users: ids of the block's U users, in order. features: the ids of each user feature [U, columns]; known_features
    counts those with a known value. tags: names of Export.tag_ids. top_tags: by task.
    """
    known = torch.stack([(ids >= FIRST_VALUE).any(dim=1) for ids in features]).sum(dim=0).int()
    lists = {task: _lists(top, len(users), tags) for task, top in top_tags.items()}
    columns = {"user_id": users, "known_features": pyarrow.array(known.numpy()), **lists}
    table = pyarrow.table(columns, schema=profiles_schema(top_tags))
    pyarrow.parquet.write_table(table, path)
    unknown = int((known == 0).sum())
    return {"name": path.name, "sha256": file_hash(path), "rows": len(table), "users_without_features": unknown}


def _lists(top: TopTags, users: int, tags: pyarrow.StringArray) -> pyarrow.ListArray:
    """For each user a list of (tag, score), best first; empty for users without tags."""
    ends = np.cumsum(np.bincount(top.user.numpy(), minlength=users))
    columns = [tags.take(top.tag.numpy()), pyarrow.array(top.score.numpy())]
    structs = pyarrow.StructArray.from_arrays(columns, names=["tag", "score"])
    return pyarrow.ListArray.from_arrays(pyarrow.array([0, *ends], pyarrow.int32()), structs)


def manifest(inputs: Inputs, reports: Sequence[BlockReport]) -> dict[str, Any]:
    """users_without_features: users with known_features = 0."""
    files = [report["profiles"] for report in reports]
    return {
        **shared_entries(inputs),
        "rows": sum(file["rows"] for file in files),
        "users_without_features": sum(file["users_without_features"] for file in files),
        "files": [file_entry(file) for file in files],
    }
