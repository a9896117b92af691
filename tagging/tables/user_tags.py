"""The best tags of a block of users: rows of user_tags. Runs in the Spark workers."""

from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import torch

from etl.artefact import file_hash
from tagging.scoring.score import TopTags

# pyarrow's names for the columns of etl.contract.USER_TAGS
SCHEMA = pyarrow.schema(
    [
        ("user_id", pyarrow.string()),
        ("tag", pyarrow.string()),
        ("score", pyarrow.float32()),
        ("rank", pyarrow.int32()),
    ]
)


def write(path: Path, names: pyarrow.StringArray, tags: pyarrow.StringArray, top: TopTags) -> dict[str, Any]:
    """Rows in order of user_id and rank; returns what is said of the file.

    names: of the users, in order. tags: of Export.tag_ids; tag_users: users by tag, in the same order.
    """
    columns = [names.take(top.user.numpy()), tags.take(top.tag.numpy()), top.score.numpy(), top.rank.int().numpy()]
    pyarrow.parquet.write_table(pyarrow.table([pyarrow.array(c) for c in columns], schema=SCHEMA), path)
    best = top.score[top.rank == 1].double()
    return {
        "name": path.name,
        "sha256": file_hash(path),
        "users": len(names),
        "tagged": len(best),
        "rows": len(top.user),
        "score_sum": float(top.score.double().sum()),
        "top_score_sum": float(best.sum()),
        "tag_users": torch.bincount(top.tag, minlength=len(tags)).tolist(),
    }
