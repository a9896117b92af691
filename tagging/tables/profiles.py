"""The merged profiles of a block of users: one row a user, with the tags of all tasks. Runs in the Spark workers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import torch
from torch import Tensor

from etl.artefact import file_hash
from etl.contract import FIRST_VALUE
from tagging.scoring.score import TopTags

TAG = pyarrow.struct([("tag", pyarrow.string()), ("score", pyarrow.float32())])


def write(
    path: Path,
    names: pyarrow.StringArray,
    ids: Tensor,
    features: Sequence[Sequence[int]],
    tags: pyarrow.StringArray,
    tops: Mapping[str, TopTags],
) -> dict[str, Any]:
    """Rows in order of user_id; returns what is said of the file.

    names and ids [U, C_users]: of the users, in order. features: for each user feature its columns of ids; a user's
    known_features are those of which one column holds a known value. tags: of Export.tag_ids. tops: task -> best tags.
    """
    known = torch.stack([(ids[:, columns] >= FIRST_VALUE).any(dim=1) for columns in features]).sum(dim=0).int()
    lists = {task: _lists(top, len(names), tags) for task, top in tops.items()}
    table = pyarrow.table({"user_id": names, "known_features": pyarrow.array(known.numpy()), **lists})
    pyarrow.parquet.write_table(table, path)
    return {"name": path.name, "sha256": file_hash(path), "rows": len(table), "unknown": int((known == 0).sum())}


def _lists(top: TopTags, users: int, tags: pyarrow.StringArray) -> pyarrow.ListArray:
    """For each user a list of (tag, score), best first; empty for those without."""
    ends = np.cumsum(np.bincount(top.user.numpy(), minlength=users))
    columns = [tags.take(top.tag.numpy()), pyarrow.array(top.score.numpy())]
    structs = pyarrow.StructArray.from_arrays(columns, fields=list(TAG))
    return pyarrow.ListArray.from_arrays(pyarrow.array([0, *ends], pyarrow.int32()), structs)
