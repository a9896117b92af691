"""Hit rate and nDCG by hand, and what counts as relevant."""

import math

import numpy as np
import pytest
import torch

from conf.load import load_model
from conf.settings.run_file import Settings
from tagging.evaluation.relevance import NONE, Dealt, dealt_with, of_counts, quality
from tests.lakes.samples import sample_rows, write_samples
from tests.lakes.settings import START
from trainer.evaluation.metrics import MetricName
from trainer.objectives.build import objective_of

USER_COLUMNS = ["f_user_id", "f_age", "f_gender", "f_region"]


def dealt(pairs: list[tuple[str, int]]) -> Dealt:
    names = sorted({name for name, _ in pairs})
    users = np.array(names, dtype=object)
    user = np.array([names.index(name) for name, _ in pairs], dtype=np.int64)
    return Dealt(users, torch.zeros(len(users), 1), user, np.array([tag for _, tag in pairs], dtype=np.int64))


def test_hit_rate_and_ndcg_by_hand() -> None:
    """Six tags, all ranked. A: relevant at ranks 2 and 6; B: at 1; C: nothing, no say; D: at 6 alone.

    at 5: hits A, B; DCG of A is 1/log2(3) of 1 + 1/log2(3), of B 1 of 1, of D 0.
    at 10: A gains 1/log2(7) more, D 1/log2(7) of 1.
    """
    ranked = torch.tensor([[3, 1, 0, 2, 4, 5]] * 4)
    relevant = torch.zeros(4, 6, dtype=torch.bool)
    relevant[0, [1, 5]], relevant[1, 3], relevant[3, 5] = True, True, True
    found = quality(ranked, relevant)
    second, sixth = 1 / math.log2(3), 1 / math.log2(7)
    assert found.users == 3
    assert found.hits == {5: 2, 10: 3}
    assert found.ndcg[5] == pytest.approx(second / (1 + second) + 1)
    assert found.ndcg[10] == pytest.approx((second + sixth) / (1 + second) + 1 + sixth)
    assert (found + found).metrics("interest")[MetricName("interest", "hit_rate_at_5")] == pytest.approx(2 / 3)


def test_without_users_it_is_undefined() -> None:
    none = quality(torch.zeros(2, 3, dtype=torch.int64), torch.zeros(2, 3, dtype=torch.bool))
    assert (none + NONE).metrics("interest")[MetricName("interest", "ndcg_at_10")] is None


def test_counts_of_other_users_and_unknown_tags_are_left_out() -> None:
    earlier = dealt([("b", 2), ("b", 2), ("c", 4), ("d", 2), ("b", 9)])
    counts = earlier.counts(np.array(["a", "b", "c"], dtype=object), [2, 3, 4])
    assert counts.tolist() == [[0, 0, 0], [2, 0, 0], [0, 0, 1]]
    assert earlier.counts(np.array([], dtype=object), [2]).shape == (0, 1)


def test_baselines_by_hand() -> None:
    """Before: tag 3 three times, 2 twice, 4 once. Today a (who had 4) deals with 2, and b, a new user, with 3.

    Popularity puts 3, 2, 4 first: a finds hers second, b first. Her own counts put 4 first, then 3, 2 by popularity.
    """
    earlier = [{"interest": dealt([("x", 3), ("x", 3), ("y", 2)])}, {"interest": dealt([("y", 3), ("x", 2), ("a", 4)])}]
    today = {"interest": dealt([("a", 2), ("b", 3)])}
    found = of_counts(earlier, today, [2, 3, 4])
    assert found["popularity"]["interest"].ndcg[5] == pytest.approx(1 / math.log2(3) + 1)
    assert found["own_counts"]["interest"].ndcg[5] == pytest.approx(1 / math.log2(4) + 1)


def test_both_counts_put_a_users_own_tags_where_they_outweigh_what_all_users_do() -> None:
    """Before, of 60 in all: tag 3 36 times (18 of the prior's 30), 2 20 times (10), 4 four times (2), all of these a's.

    Today a deals with 2: own + prior is 3: 18, 2: 10, 4: 4 + 2, so hers is second, as by popularity, and third by her
    own counts. Had she 9 of the 65 for tag 4 (9 + 4.2 against 9.2 for tag 2), hers would be third.
    """
    others = [("x", 3)] * 36 + [("y", 2)] * 20
    for of_a, place in ((4, 2), (9, 3)):
        earlier = [{"interest": dealt(others + [("a", 4)] * of_a)}]
        found = of_counts(earlier, {"interest": dealt([("a", 2)])}, [2, 3, 4])
        assert found["both_counts"]["interest"].ndcg[5] == pytest.approx(1 / math.log2(place + 1))
        assert found["popularity"]["interest"].ndcg[5] == pytest.approx(1 / math.log2(3))
        assert found["own_counts"]["interest"].ndcg[5] == pytest.approx(1 / math.log2(4))


def test_relevant_is_what_was_clicked_and_what_converted(settings: Settings) -> None:
    frame = sample_rows(settings, START, 300)
    write_samples(settings, START, frame)
    found = dealt_with(settings, START, objective_of(load_model("mvke"), settings).heads)
    tags = ["f_tag_0", "f_tag_1", "f_tag_2"]
    for task, label in (("interest", "click"), ("intention", "converted")):
        rows = frame[(frame[label] > 0) & (frame[f"{'click' if label == 'click' else 'conversion'}_defined"] > 0)]
        rows = rows[(rows[tags] >= 2).any(axis=1)]
        wanted = sorted((row["user_id"], int(row[tag])) for _, row in rows.iterrows() for tag in tags if row[tag] >= 2)
        got = found[task]
        assert sorted(zip(got.users[got.user], got.tag.tolist(), strict=True)) == wanted
        of_user = rows.groupby("user_id").first()
        assert got.ids.tolist() == of_user.loc[got.users, USER_COLUMNS].values.tolist()
