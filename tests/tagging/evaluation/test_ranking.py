"""Hit rate and nDCG by hand."""

import math

import pytest
import torch

from tagging.evaluation.ranking import NO_USERS, ranking_quality
from trainer.evaluation.metrics import MetricName


def test_hit_rate_and_ndcg_by_hand() -> None:
    """Six tags, all ranked. A: relevant at ranks 2 and 6; B: at 1; C: none, does not count; D: at 6 alone.

    at 5: hits A, B; DCG of A is 1/log2(3) of 1 + 1/log2(3), of B 1 of 1, of D 0.
    at 10: A gains 1/log2(7) more, D 1/log2(7) of 1.
    """
    ranked = torch.tensor([[3, 1, 0, 2, 4, 5]] * 4)
    relevant = torch.zeros(4, 6, dtype=torch.bool)
    relevant[0, [1, 5]], relevant[1, 3], relevant[3, 5] = True, True, True
    found = ranking_quality(ranked, relevant)
    second, sixth = 1 / math.log2(3), 1 / math.log2(7)
    assert found.users == 3
    assert found.hits == {5: 2, 10: 3}
    assert found.ndcg[5] == pytest.approx(second / (1 + second) + 1)
    assert found.ndcg[10] == pytest.approx((second + sixth) / (1 + second) + 1 + sixth)
    assert (found + found).metrics("interest")[MetricName("interest", "hit_rate_at_5")] == pytest.approx(2 / 3)


def test_metrics_without_users_are_undefined() -> None:
    none = ranking_quality(torch.zeros(2, 3, dtype=torch.int64), torch.zeros(2, 3, dtype=torch.bool))
    assert (none + NO_USERS).metrics("interest")[MetricName("interest", "ndcg_at_10")] is None
