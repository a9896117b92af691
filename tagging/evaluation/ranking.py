"""Hit rate and nDCG of ranked tags: metrics of the order of each user's best tags."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tagging.evaluation.engagement import Engagement
from tagging.scoring.export import Export
from tagging.scoring.score import top_tags
from trainer.evaluation.metrics import MetricName, MetricValues

CUTOFFS = (5, 10)


@dataclass(frozen=True)
class RankingQuality:
    """Sums over users with a relevant tag, so that days can be added. hits, ndcg: by cutoff k. users: their number."""

    users: int
    hits: dict[int, float]
    ndcg: dict[int, float]

    def __add__(self, other: "RankingQuality") -> "RankingQuality":
        return RankingQuality(
            self.users + other.users,
            {k: self.hits[k] + other.hits[k] for k in CUTOFFS},
            {k: self.ndcg[k] + other.ndcg[k] for k in CUTOFFS},
        )

    def metrics(self, task: str) -> MetricValues:
        """ndcg_at_<k> and hit_rate_at_<k> of the task: means over users, None without any."""
        sums = {"ndcg": self.ndcg, "hit_rate": self.hits}
        return {
            MetricName(task, f"{name}_at_{k}"): sums[name][k] / self.users if self.users else None
            for name in sums
            for k in CUTOFFS
        }


NO_USERS = RankingQuality(0, dict.fromkeys(CUTOFFS, 0.0), dict.fromkeys(CUTOFFS, 0.0))


def ranking_quality(ranked: Tensor, relevant: Tensor) -> RankingQuality:
    """ranked: tags as columns of `relevant` [U, K], best first. relevant: bool [U, T]; users without any do not count.

    A hit is at least one relevant tag among the first k. DCG discounts rank r by log2(r + 1).
    """
    counted = relevant.any(1)
    gains = relevant.gather(1, ranked)[counted].double()
    relevant_tags = relevant[counted].sum(1)
    discount = 1 / torch.log2(torch.arange(2, ranked.shape[1] + 2).double())
    hits, ndcg = {}, {}
    for k in CUTOFFS:
        ideal = torch.cat([torch.zeros(1).double(), discount[:k].cumsum(0)])  # by number of relevant tags
        best_possible = ideal[relevant_tags.clamp(max=min(k, len(discount)))]
        hits[k] = float(gains[:, :k].any(1).double().sum())
        ndcg[k] = float(((gains[:, :k] * discount[:k]).sum(1) / best_possible).sum())
    return RankingQuality(int(counted.sum()), hits, ndcg)


def tagger_quality(
    export: Export, engagement: Mapping[str, Engagement], columns: Sequence[str]
) -> dict[str, RankingQuality]:
    """task -> quality of a tagger's best tags, where what users engaged with on a later day is relevant.

    columns: the tagger's user columns, in its order.
    """
    count = min(max(CUTOFFS), len(export.tag_ids))
    found = {}
    for task, engaged in engagement.items():
        relevant = engaged.counts(engaged.users, export.tag_ids.tolist()) > 0
        top = top_tags(export, engaged.feature_ids(columns), task, count, 0.0)
        found[task] = ranking_quality(top.tag.reshape(-1, count), relevant)
    return found


def pooled_metrics(days: Iterable[Mapping[str, RankingQuality]]) -> MetricValues:
    """Metrics of several days (task -> quality) together."""
    sums: dict[str, RankingQuality] = {}
    for day in days:
        for task, quality in day.items():
            sums[task] = sums.get(task, NO_USERS) + quality
    return {name: value for task, quality in sums.items() for name, value in quality.metrics(task).items()}
