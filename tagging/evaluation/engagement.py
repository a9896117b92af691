"""Which tags users engaged with on a day.

A user engaged with a tag, for a task, when one of their impressions of an item with that tag has the task's label:
clicked for interest, converted for intention.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from conf.paths import Paths
from conf.settings.run_file import Settings
from etl.contract import FIRST_VALUE, columns_of
from trainer.data.layout import Layout
from trainer.data.reader import read
from trainer.objectives.task import Task


@dataclass(frozen=True)
class Engagement:
    """Pairs of user and tag, one for each impression and tag of its item.

    users: ids of the U users, in order. features: column f_... -> ids [U], as in the users' first such impression of
    the day. user: index into users, tag: vocabulary id, both [N].
    """

    users: NDArray[np.object_]
    features: dict[str, Tensor]
    user: NDArray[np.int64]
    tag: NDArray[np.int64]

    def feature_ids(self, columns: Sequence[str]) -> Tensor:
        """[U, columns], in the order of a model's columns."""
        return torch.stack([self.features[column] for column in columns], dim=1)

    def counts(self, users: NDArray[np.object_], tag_ids: Sequence[int]) -> Tensor:
        """float32 [len(users), len(tag_ids)]: how often each of these users engaged with each of these tags."""
        rows = pd.Index(users).get_indexer(pd.Index(self.users))[self.user]
        columns = pd.Index(tag_ids).get_indexer(pd.Index(self.tag))
        known = (rows >= 0) & (columns >= 0)
        cells = torch.from_numpy(rows[known]), torch.from_numpy(columns[known])
        return torch.zeros(len(users), len(tag_ids)).index_put_(cells, torch.ones(int(known.sum())), accumulate=True)


def read_engagement(settings: Settings, day: date, tasks: Sequence[Task]) -> dict[str, Engagement]:
    """task -> engagement of the day, from one pass over samples/dt=day."""
    layout, folder = Layout.of(settings.features), Paths(settings.lake.root).samples(day)
    labels = tuple(dict.fromkeys(column for task in tasks for column in task.label_columns))
    users: dict[str, list[NDArray[np.object_]]] = {task.name: [] for task in tasks}
    ids: dict[str, list[Tensor]] = {task.name: [] for task in tasks}
    for batch in read(folder, layout, keys=["user_id"], labels=labels):
        for task in tasks:
            engaged = task.rows(batch) & (batch.labels[task.positive] > 0)
            users[task.name].append(np.asarray(batch.keys["user_id"], dtype=object)[engaged.numpy()])
            ids[task.name].append(batch.ids[engaged])
    of_users = layout.of_table("users")
    tag_positions = layout.positions([layout.feature(settings.tagger.tag_feature)])
    found = {}
    for name in users:
        rows = torch.cat(ids[name])
        features = dict(zip(columns_of(of_users), rows[:, layout.positions(of_users)].unbind(dim=1), strict=True))
        found[name] = _engagement(np.concatenate(users[name]), features, rows[:, tag_positions].numpy())
    return found


def _engagement(user_ids: NDArray[np.object_], features: dict[str, Tensor], tags: NDArray[np.int64]) -> Engagement:
    """All of the rows [R] that users engaged with. tags: [R, length], padded."""
    users, first, user = np.unique(user_ids.astype(str), return_index=True, return_inverse=True)
    known = tags >= FIRST_VALUE
    of_users = {column: ids[torch.from_numpy(first)] for column, ids in features.items()}
    return Engagement(users.astype(object), of_users, np.repeat(user, known.sum(1)), tags[known])
