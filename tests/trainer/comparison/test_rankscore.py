"""What an order of impressions is worth, by hand."""

import numpy as np
import pandas as pd
import pytest

from trainer.comparison.rankscore import Rankscore, ctr_predictions, rank_metrics, value_of_top
from trainer.evaluation.metrics import MetricName

VALUE = MetricName("rankscore", "value_of_top")
WITH_BASE_CTR = MetricName("rankscore", "value_of_top_with_base_ctr")


def test_the_top_of_each_users_day():
    # user a has 11 impressions on a day, so 2 at the top (a tenth, rounded up); b has 1
    rows = pd.DataFrame({
        "user_id": ["a"] * 11 + ["b"], "day": "d", "ctr": 0.5, "cvr": [0.1] * 9 + [0.9, 0.8, 0.3],
        "value": [0.0] * 9 + [1.0, 0.4, 0.2], "length": [100.0] * 9 + [1.0, 1.0, 5.0],
    })  # fmt: skip
    assert value_of_top(rows, Rankscore()) == pytest.approx((1.0 + 0.4 + 0.2) / 3)
    assert value_of_top(rows, Rankscore(c=1.0, length="x")) == pytest.approx((0.0 + 0.0 + 0.2) / 3)
    assert value_of_top(rows.assign(ctr=[0.5] * 9 + [0.1, 0.1, 0.3]), Rankscore(b=0.0)) == pytest.approx(0.2 / 3)
    assert value_of_top(rows.head(10), Rankscore()) == 1.0  # a tenth of 10 is 1
    two_days = rows.head(10).assign(day=["d"] * 4 + ["e"] * 6, value=[0.7] * 4 + [0.1] * 5 + [1.0])
    assert value_of_top(two_days, Rankscore()) == pytest.approx((0.7 + 1.0) / 2)  # one of each day
    assert value_of_top(rows.head(0), Rankscore()) is None
    assert value_of_top(rows.tail(1).assign(value=np.nan), Rankscore()) is None


def test_a_row_without_a_length_comes_last():
    by_length = Rankscore(b=0.0, c=1.0, length="x")
    rows = pd.DataFrame({
        "user_id": ["a"] * 11, "day": "d", "ctr": 0.5, "cvr": 0.5,
        "value": [8.0] + [0.0] * 10, "length": [np.nan] + [1.0] * 10,
    })  # fmt: skip
    assert value_of_top(rows, by_length) == 0
    assert value_of_top(rows.assign(value=[8.0, 1.0, 3.0] + [0.0] * 8), by_length) == 2.0


def predictions() -> pd.DataFrame:
    """Two impressions of a user: ctr .9 and .8, cvr .7 and .9."""
    return pd.DataFrame({
        "day": "d", "impression_id": ["1", "2", "1", "2"], "user_id": "u", "task": ["ctr", "ctr", "cvr", "cvr"],
        "prediction": [0.9, 0.8, 0.7, 0.9],
    })  # fmt: skip


def base_ctr(first: float, second: float) -> pd.DataFrame:
    return ctr_predictions(predictions()).assign(ctr=[first, second])


def test_own_ctr_and_the_ctr_of_the_base():
    outcomes = pd.DataFrame({"day": "d", "impression_id": ["1", "2"], "value": [0.5, 0.25]})
    # own scores put the first on top, the base's ctr the second
    pooled, by_day = rank_metrics(predictions(), base_ctr(0.1, 0.9), outcomes, Rankscore(b=0.1))
    assert pooled == {VALUE: 0.5, WITH_BASE_CTR: 0.25} and by_day == {"d": pooled}
    # .9 * .7 = .63 and .8 * .9 = .72: the second on top
    assert rank_metrics(predictions(), base_ctr(0.5, 0.5), outcomes, Rankscore())[0][VALUE] == 0.25


def test_share_times_length_where_the_length_is_known():
    outcomes = pd.DataFrame({"day": "d", "impression_id": ["1", "2"], "value": [0.5, 0.25], "length": [20.0, 60.0]})
    pooled, _ = rank_metrics(predictions(), base_ctr(0.1, 0.9), outcomes, Rankscore(b=0.1))
    assert pooled[MetricName("rankscore", "value_of_top_in_length")] == 10
    assert pooled[MetricName("rankscore", "value_of_top_with_base_ctr_in_length")] == 15


def test_an_impression_whose_conversion_is_unknown_is_not_in_the_order():
    outcomes = pd.DataFrame({"day": ["d"], "impression_id": ["1"], "value": [0.5]})
    assert rank_metrics(predictions(), base_ctr(0.5, 0.5), outcomes, Rankscore())[0][VALUE] == 0.5


def test_each_day_is_ranked_by_itself():
    rows, base = (pd.concat([frame, frame.assign(day="e")]) for frame in (predictions(), base_ctr(0.5, 0.5)))
    one = pd.DataFrame({"day": "d", "impression_id": ["1", "2"], "value": [0.5, 0.25]})
    pooled, by_day = rank_metrics(rows, base, pd.concat([one, one.assign(day="e", value=0.0)]), Rankscore())
    assert {day: values[VALUE] for day, values in by_day.items()} == {"d": 0.25, "e": 0.0}
    assert pooled[VALUE] == 0.125
