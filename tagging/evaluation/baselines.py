"""Rankings of tags that need no model: counts of what users engaged with on earlier days."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from tagging.evaluation.engagement import Engagement
from tagging.evaluation.ranking import CUTOFFS, RankingQuality, ranking_quality
from tagging.scoring.top_k import top_k

PRIOR = 30  # counts; the best of 1, 3, 10, 30, 100 on KuaiRand's days before the reported ones


def baseline_quality(
    earlier: Sequence[Mapping[str, Engagement]], engagement: Mapping[str, Engagement], tag_ids: Sequence[int]
) -> dict[str, dict[str, RankingQuality]]:
    """baseline -> task -> quality. earlier: the days before that of `engagement`, each by task.

    popularity: all users' counts. own_counts: the user's counts, ties by popularity. both_counts: the user's counts
    plus PRIOR counts distributed by popularity, the posterior mean under a Dirichlet prior.
    """
    found: dict[str, dict[str, RankingQuality]] = {"popularity": {}, "own_counts": {}, "both_counts": {}}
    for task, engaged in engagement.items():
        relevant = engaged.counts(engaged.users, tag_ids) > 0
        popularity, own = _counts([day[task] for day in earlier], engaged, tag_ids)
        rankings = {
            "popularity": popularity.contiguous(),
            "own_counts": own + popularity / 2,  # less than any difference of counts
            "both_counts": own + PRIOR * popularity,
        }
        for name, scores in rankings.items():
            ranked = top_k(scores, min(max(CUTOFFS), len(tag_ids)))[1]
            found[name][task] = ranking_quality(ranked, relevant)
    return found


def _counts(earlier: Sequence[Engagement], engaged: Engagement, tag_ids: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Shares of the tags in all engagement, the same for each user, and each user's own counts; both [U, T]."""
    total = torch.zeros(len(tag_ids))
    own = torch.zeros(len(engaged.users), len(tag_ids))
    for day in earlier:
        counts = np.bincount(day.tag, minlength=max(tag_ids, default=0) + 1)
        total += torch.from_numpy(counts[list(tag_ids)]).float()
        own += day.counts(engaged.users, tag_ids)
    return (total / total.sum().clamp(min=1)).expand(len(engaged.users), -1), own
