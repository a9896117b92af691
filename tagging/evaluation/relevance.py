"""How well tags put first are those of the items that a user deals with the next day: hit rate and nDCG.

A tag is relevant for a user, a day and a task when an impression of that day, of an item that carries it, has the
task's label: interest: it was clicked; intention: it converted. Users without any relevant tag have no say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from conf.paths import Paths
from conf.settings.run_file import Settings
from etl.contract import FIRST_VALUE, columns_of, feature_columns
from tagging.scoring.export import Export
from tagging.scoring.score import best, top_tags
from trainer.data.layout import Layout
from trainer.data.reader import read
from trainer.evaluation.metrics import MetricName, MetricValues
from trainer.objectives.task import Task

AT = (5, 10)
PRIOR = 30  # chosen on KuaiRand's days before the reported ones, of 1, 3, 10, 30, 100


@dataclass(frozen=True)
class Dealt:
    """What users dealt with on a day: pairs of user and tag id, one for every impression and tag of its item.

    users: their names, in order. ids: their features [U, C_users], as the day's impressions have them. user: index into
    users, tag: vocabulary id, both [N].
    """

    users: NDArray[np.object_]
    ids: Tensor
    user: NDArray[np.int64]
    tag: NDArray[np.int64]

    def counts(self, users: NDArray[np.object_], tag_ids: Sequence[int]) -> Tensor:
        """float32 [len(users), len(tag_ids)]: how often each of these users dealt with each of these tags."""
        rows = pd.Index(users).get_indexer(pd.Index(self.users))[self.user]
        columns = pd.Index(tag_ids).get_indexer(pd.Index(self.tag))
        known = (rows >= 0) & (columns >= 0)
        found = torch.zeros(len(users), len(tag_ids))
        ones = torch.ones(int(known.sum()))
        return found.index_put_(
            (torch.from_numpy(rows[known]), torch.from_numpy(columns[known])), ones, accumulate=True
        )


def dealt_with(settings: Settings, day: date, tasks: Sequence[Task]) -> dict[str, Dealt]:
    """Task -> what users dealt with on the day; reads samples/dt=day once."""
    columns = columns_of(settings.features)
    of_users = [columns.index(c) for c in columns_of(f for f in settings.features if f.table == "users")]
    tag = next(f for f in settings.features if f.name == settings.tagger.tag_feature)
    of_tags = [columns.index(c) for c in feature_columns(tag)]
    labels = tuple(dict.fromkeys(column for task in tasks for column in task.label_columns))
    names: dict[str, list[NDArray[np.object_]]] = {task.name: [] for task in tasks}
    rows: dict[str, list[Tensor]] = {task.name: [] for task in tasks}
    layout, folder = Layout.of(settings.features), Paths(settings.lake.root).samples(day)
    for group in read(folder, layout, keys=["user_id"], labels=labels):
        for task in tasks:
            chosen = task.rows(group) & (group.labels[task.positive] > 0)
            names[task.name].append(np.asarray(group.keys["user_id"], dtype=object)[chosen.numpy()])
            rows[task.name].append(group.ids[chosen])
    return {task.name: _dealt(names[task.name], rows[task.name], of_users, of_tags) for task in tasks}


def _dealt(
    names: Sequence[NDArray[np.object_]], rows: Sequence[Tensor], of_users: Sequence[int], of_tags: Sequence[int]
) -> Dealt:
    name, ids = np.concatenate(names), torch.cat(list(rows))
    users, first, user = np.unique(name.astype(str), return_index=True, return_inverse=True)
    tags = ids[:, list(of_tags)].numpy()
    known = tags >= FIRST_VALUE
    features = ids[torch.from_numpy(first)][:, list(of_users)]
    return Dealt(users.astype(object), features, np.repeat(user, known.sum(1)), tags[known].astype(np.int64))


@dataclass(frozen=True)
class Quality:
    """Sums over users, so that days can be added up: hits and nDCG by K, and how many users they are of."""

    users: int
    hits: dict[int, float]
    ndcg: dict[int, float]

    def __add__(self, other: "Quality") -> "Quality":
        return Quality(
            self.users + other.users,
            {k: self.hits[k] + other.hits[k] for k in AT},
            {k: self.ndcg[k] + other.ndcg[k] for k in AT},
        )

    def metrics(self, task: str) -> MetricValues:
        """hit_rate_at_<k>, ndcg_at_<k> of the task: means over users; None without any."""
        sums = {"ndcg": self.ndcg, "hit_rate": self.hits}
        return {
            MetricName(task, f"{name}_at_{k}"): sums[name][k] / self.users if self.users else None
            for name in sums
            for k in AT
        }


NONE = Quality(0, dict.fromkeys(AT, 0.0), dict.fromkeys(AT, 0.0))


def quality(ranked: Tensor, relevant: Tensor) -> Quality:
    """ranked: columns of the best tags [U, K], best first; relevant: bool [U, T]. Users without any do not count."""
    some = relevant.any(1)
    gained = relevant.gather(1, ranked)[some].double()
    ideal = relevant[some].sum(1)
    discount = 1 / torch.log2(torch.arange(2, ranked.shape[1] + 2).double())
    hits, ndcg = {}, {}
    for k in AT:
        best_possible = torch.cat([torch.zeros(1).double(), discount[:k].cumsum(0)])[
            ideal.clamp(max=min(k, len(discount)))
        ]
        hits[k] = float(gained[:, :k].any(1).double().sum())
        ndcg[k] = float(((gained[:, :k] * discount[:k]).sum(1) / best_possible).sum())
    return Quality(int(some.sum()), hits, ndcg)


def of_tagger(export: Export, dealt: Mapping[str, Dealt]) -> dict[str, Quality]:
    """Task -> quality of a tagger's tags for what users dealt with on a day after it was trained."""
    found = {}
    for task, of_task in dealt.items():
        relevant = of_task.counts(of_task.users, export.tag_ids.tolist()) > 0
        count = min(max(AT), len(export.tag_ids))
        top = top_tags(export, of_task.ids, task, count, 0.0)
        found[task] = quality(top.tag.reshape(-1, count), relevant)
    return found


def of_counts(
    earlier: Sequence[Mapping[str, Dealt]], dealt: Mapping[str, Dealt], tag_ids: Sequence[int]
) -> dict[str, dict[str, Quality]]:
    """What needs no model: the tags that all users dealt with most on earlier days, those that the user did, or both.

    `popularity`; `own_counts`, ties by popularity; `both_counts`: the user's own and the popularity, PRIOR counts
    shared among the tags, which is what is known of the user's tags when everybody's are a Dirichlet prior.
    """
    found: dict[str, dict[str, Quality]] = {"popularity": {}, "own_counts": {}, "both_counts": {}}
    for task, today in dealt.items():
        relevant = today.counts(today.users, tag_ids) > 0
        of_all = torch.zeros(len(tag_ids))
        counts = torch.zeros(len(today.users), len(tag_ids))
        for day in earlier:
            of_all += torch.from_numpy(
                np.bincount(day[task].tag, minlength=max(tag_ids, default=0) + 1)[list(tag_ids)]
            ).float()
            counts += day[task].counts(today.users, tag_ids)
        popularity = (of_all / of_all.sum().clamp(min=1)).expand(len(today.users), -1)
        orders = {
            "popularity": popularity.contiguous(),
            "own_counts": counts + popularity / 2,  # below every difference of counts
            "both_counts": counts + PRIOR * popularity,
        }
        for name, order in orders.items():
            found[name][task] = quality(best(order, min(max(AT), len(tag_ids)))[1], relevant)
    return found
