"""The pairs of user and tag that score enough for an audience, one file a block. Runs in the Spark workers."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import torch
from torch import Tensor

from etl.contract import AUDIENCE

SCHEMA = AUDIENCE.schema()


class PairWriter:
    """Writes a block's pairs of one task, batch by batch, unsorted.

    users: ids of the block's users, in order. tags: names of Export.tag_ids.
    """

    def __init__(self, path: Path, users: pyarrow.StringArray, tags: pyarrow.StringArray) -> None:
        self.users, self.tags = users, tags
        self.file = pyarrow.parquet.ParquetWriter(path, SCHEMA)
        self.tag_users = np.zeros(len(tags), dtype=np.int64)
        self.reached = 0

    def add(self, user: Tensor, tag: Tensor, score: Tensor) -> None:
        """Adds a batch as Scores.at_least returns it; all pairs of a user come in one batch."""
        columns = [self.tags.take(tag.numpy()), self.users.take(user.numpy()), pyarrow.array(score.numpy())]
        self.file.write_table(pyarrow.table(columns, schema=SCHEMA))
        self.tag_users += np.bincount(tag.numpy(), minlength=len(self.tags))
        self.reached += len(torch.unique_consecutive(user))

    def close(self) -> dict[str, Any]:
        """The report. reached: users in any audience; tag_users: users of each tag, in the order of the tags."""
        self.file.close()
        return {"reached": self.reached, "tag_users": self.tag_users.tolist()}
