"""Baselines by hand."""

import math

import pytest

from tagging.evaluation.baselines import baseline_quality
from tests.tagging.evaluation.test_engagement import engaged


def test_baselines_by_hand() -> None:
    """Before: tag 3 three times, 2 twice, 4 once. Today a (who had 4) engages with 2, and b, a new user, with 3.

    Popularity puts 3, 2, 4 first: a finds hers second, b first. Her own counts put 4 first, then 3, 2 by popularity.
    """
    earlier = [
        {"interest": engaged([("x", 3), ("x", 3), ("y", 2)])},
        {"interest": engaged([("y", 3), ("x", 2), ("a", 4)])},
    ]
    today = {"interest": engaged([("a", 2), ("b", 3)])}
    found = baseline_quality(earlier, today, [2, 3, 4])
    assert found["popularity"]["interest"].ndcg[5] == pytest.approx(1 / math.log2(3) + 1)
    assert found["own_counts"]["interest"].ndcg[5] == pytest.approx(1 / math.log2(4) + 1)


def test_both_counts_rank_a_users_own_tag_by_its_counts_and_the_prior() -> None:
    """Before, of 60 in all: tag 3 36 times (18 of the prior's 30), 2 20 times (10), 4 four times (2), all of these a's.

    Today a engages with 2: own + prior is 3: 18, 2: 10, 4: 4 + 2, so hers is second, as by popularity, and third by her
    own counts. Had she 9 of the 65 for tag 4 (9 + 4.2 against 9.2 for tag 2), hers would be third.
    """
    others = [("x", 3)] * 36 + [("y", 2)] * 20
    for of_a, place in ((4, 2), (9, 3)):
        earlier = [{"interest": engaged(others + [("a", 4)] * of_a)}]
        found = baseline_quality(earlier, {"interest": engaged([("a", 2)])}, [2, 3, 4])
        assert found["both_counts"]["interest"].ndcg[5] == pytest.approx(1 / math.log2(place + 1))
        assert found["popularity"]["interest"].ndcg[5] == pytest.approx(1 / math.log2(3))
        assert found["own_counts"]["interest"].ndcg[5] == pytest.approx(1 / math.log2(4))
