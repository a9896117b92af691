"""The figures of a comparison, by hand: spreads, paired tests, groups of users, the worth of an order."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from conf.errors import InputError
from conf.paths import Paths
from tests.lakes.samples import sample_rows, write_samples
from tests.lakes.settings import START
from trainer.comparison import report as comparison_report
from trainer.comparison.outcomes import read_outcomes
from trainer.comparison.rankscore import Rankscore, value_of_top
from trainer.comparison.statistics import (
    Asked,
    Compared,
    Difference,
    RunValues,
    Spread,
    activity_groups,
    compared,
    mean_of_earlier,
    rank_values,
    target_and_metric,
    values_of,
)

DAYS = [str(START + timedelta(days=n)) for n in range(4)]


def values(*by_day):
    """RunValues with one metric by day; pooled is their mean."""
    known = [value for value in by_day if value is not None]
    days = {f"2026-01-0{n + 2}": {"ctr_auc": value} for n, value in enumerate(by_day)}
    return RunValues({"ctr_auc": float(np.mean(known)) if known else None}, days, {}, {})


def test_spread_difference_and_paired_test_by_hand():
    # differences by seed and day: .1 .3 | .2 .2: mean .2, sd sqrt(.02 / 3), t = .2 / (sd / 2) = 4.899 on 3 degrees
    base = [values(0.5, 0.4), values(0.5, 0.6)]
    found = compared([values(0.6, 0.7), values(0.7, 0.8)], base, "ranker")
    assert found.spreads["ctr_auc"].mean == pytest.approx(0.7)  # seeds .65 and .75
    assert found.spreads["ctr_auc"].sd == pytest.approx(0.1 / 2**0.5)
    assert found.differences["ctr_auc"].value == pytest.approx(0.2)
    assert found.differences["ctr_auc"].pairs == 4
    assert found.differences["ctr_auc"].p == pytest.approx(0.01628, abs=1e-5)  # t table, two-sided


def test_a_pair_needs_both_sides_and_a_single_or_equal_one_has_no_p():
    base = [values(0.5, None)]
    assert compared([values(0.6, 0.7)], base, "ranker").differences["ctr_auc"] == Difference(
        pytest.approx(0.15), None, 1
    )
    assert compared(base, base, "ranker").differences["ctr_auc"].p is None
    assert compared([values(None, None)], base, "ranker").spreads["ctr_auc"] == Spread(None, None)
    assert compared([values(None, None)], base, "ranker").differences["ctr_auc"] == Difference(None, None, 0)


def test_the_top_of_each_users_day_by_hand():
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
    unknown = rows.assign(length=[np.nan] + [1.0] * 11, value=[9.0] * 9 + [1.0, 0.4, 0.2])
    assert value_of_top(unknown, Rankscore(b=0.0, c=1.0, length="x")) == pytest.approx((9.0 + 9.0 + 0.2) / 3)
    assert value_of_top(unknown.assign(value=[8.0] + [0.0] * 11), Rankscore(b=0.0, c=1.0, length="x")) == 0  # last


def test_users_are_grouped_by_quartiles_of_their_impressions():
    counts = {"a": 1, "b": 1, "c": 2, "d": 3, "e": 3, "f": 5, "g": 9, "h": 20}
    users = [user for user, count in counts.items() for _ in range(count)]
    frame = pd.DataFrame({"user_id": [*users, *users], "task": ["ctr"] * len(users) + ["cvr"] * len(users)})
    groups = activity_groups(frame, "ctr")
    assert {group: sorted(u for u in groups if groups[u] == group) for group in groups.values()} == {
        "1: 1 to 1 impressions": ["a", "b"],
        "2: 2 to 3 impressions": ["c", "d", "e"],
        "3: 5 to 5 impressions": ["f"],
        "4: 9 to 20 impressions": ["g", "h"],
    }


def test_the_mean_of_earlier_days_is_what_is_predicted():
    earlier = pd.DataFrame({"conversion": [0.2, 0.6]})
    assert mean_of_earlier(earlier, pd.DataFrame({"conversion": [0.0, 1.0]}), "conversion") == pytest.approx(0.26)


def test_names_of_metrics_come_apart_where_targets_have_underscores():
    assert target_and_metric("ctr_gauc_equal") == ("ctr", "gauc_equal")
    assert target_and_metric("interest_ndcg_at_10") == ("interest", "ndcg_at_10")
    assert target_and_metric("add_to_cart_auc") == ("add_to_cart", "auc")
    in_length = "rankscore_value_of_top_with_base_ctr_in_length"
    assert target_and_metric(in_length) == ("rankscore", "value_of_top_with_base_ctr_in_length")
    assert target_and_metric("ctcvr_f1_top0.1") == ("ctcvr", "f1_top0.1")


def test_what_is_undefined_is_a_word():
    asked = Asked("ranker", ["a"], "a", 1, date(2026, 1, 2), date(2026, 1, 3), Rankscore())
    of_none = compared([values(None, None)], [values(None, None)], "ranker")
    text = comparison_report.markdown(asked, {"a": of_none}, 0, comparison_report.notes_on_rankers(asked, None))
    assert "| a | undefined |" in text and "cvr mse undefined" in text and "nan" not in text.lower()


def test_a_cell_by_hand():
    def line(difference, *, other_label=False):
        spreads = {"cvr_mse": Spread(0.09, 0.001), "ctr_auc": Spread(0.7, None)}
        return Compared(other_label, spreads, {"cvr_mse": difference} if difference else {})

    asked = Asked("ranker", ["a", "b"], "a", 2, date(2026, 1, 2), date(2026, 1, 3), Rankscore())
    models = {
        "a": line(Difference(0.0, None, 4)),
        "b": line(Difference(-0.01, 0.0312, 4)),
        "c": line(None, other_label=True),
    }
    models["c"].spreads["like_auc"] = Spread(0.6, 0.1)
    text = comparison_report.markdown(asked, models, 5000, comparison_report.notes_on_rankers(asked, 0.1234))
    assert "| a | 0.0900 ± 0.0010 |\n| b | 0.0900 ± 0.0010 (-0.0100, -10.00%, p 0.031) |\n" in text
    assert "| c † | 0.0900 ± 0.0010 |\n" in text
    assert "## like\n\n| model | auc |\n|---|---|\n| a | - |\n| b | - |\n| c † | 0.6000 ± 0.1000 |" in text
    assert text.index("## ctr\n") < text.index("## cvr\n") < text.index("## like\n")
    assert "5,000 impressions" in text and "cvr mse 0.1234" in text


def test_truth_is_what_was_watched_and_leaves_out_what_is_not_known(settings):
    rows = sample_rows(settings, START, 4)
    rows["click"] = [1.0, 1.0, 0.0, 0.0]
    rows["conversion"] = [0.7, 0.0, 0.0, 0.9]
    rows["conversion_defined"] = [1.0, 0.0, 0.0, 0.0]
    write_samples(settings, START, rows)
    truth = read_outcomes(Paths(settings.lake.root), [START])
    assert truth["impression_id"].tolist() == [f"{START}-00000{n}" for n in (0, 2, 3)]
    assert truth["value"].tolist() == pytest.approx([0.7, 0, 0])
    assert truth["clicked"].tolist() == [True, False, False]
    with_length = read_outcomes(Paths(settings.lake.root), [START], "duration_s")
    assert with_length["length"].tolist() == pytest.approx(rows["v_duration_s"][[0, 2, 3]].tolist(), nan_ok=True)
    with pytest.raises(InputError, match="column v_depth is missing"):
        read_outcomes(Paths(settings.lake.root), [START], "depth")


def of_run(rows, base_ctr, truth, score) -> RunValues:
    return values_of(rows, {"u": "all"}, "ranker", *rank_values(rows, base_ctr, truth, score))


def test_rows_whose_conversion_is_not_known_count_for_click_and_not_for_the_top():
    rows = pd.DataFrame({
        "impression_id": ["1", "2", "1", "2", "1", "2"], "user_id": "u", "item_id": "i", "domain": "d", "day": "d",
        "task": ["ctr", "ctr", "cvr", "cvr", "ctcvr", "ctcvr"], "label": [1.0, 0, 0.5, 0, 0.5, 0],
        "positive": [1.0, 0, 1, 0, 1, 0], "defined": [1.0, 1, 1, 0, 1, 1], "prediction": [0.9, 0.8, 0.7, 0.9, 0.6, 0.7],
    })  # fmt: skip
    truth = pd.DataFrame({"day": ["d"], "impression_id": ["1"], "value": [0.5]})
    base_ctr = pd.DataFrame({"day": ["d"] * 2, "impression_id": ["1", "2"], "base_ctr": [0.5, 0.5]})
    found = of_run(rows, base_ctr, truth, Rankscore())
    assert found.pooled["ctr_auc"] == 1 and found.pooled["ctcvr_auc"] == 0 and found.pooled["cvr_auc"] is None
    assert found.pooled["cvr_mse"] == pytest.approx(0.04)  # an unclicked row is no row of CVR
    assert found.pooled["rankscore_value_of_top"] == 0.5
    # with both known, the model's own scores put the first on top, and its cvr behind the base's ctr the second
    truth = pd.DataFrame({"day": ["d"] * 2, "impression_id": ["1", "2"], "value": [0.5, 0.25]})
    found = of_run(rows, base_ctr.assign(base_ctr=[0.1, 0.9]), truth, Rankscore(b=0.1))
    assert found.pooled["rankscore_value_of_top"] == 0.5
    assert (
        found.pooled["rankscore_value_of_top_with_base_ctr"]
        == found.by_day["d"]["rankscore_value_of_top_with_base_ctr"]
        == 0.25
    )
    assert "rankscore_value_of_top_in_length" not in found.pooled
    # 0.5 of 20 seconds and 0.25 of 60
    known = truth.assign(length=[20.0, 60.0])
    found = of_run(rows, base_ctr.assign(base_ctr=[0.1, 0.9]), known, Rankscore(b=0.1))
    assert found.pooled["rankscore_value_of_top_in_length"] == 10
    assert found.pooled["rankscore_value_of_top_with_base_ctr_in_length"] == 15
    assert set(found.by_day) == {"d"} and set(found.by_activity) == {"all"}
    # .9 * .7 = .63 and .8 * .9 = .72: the second on top, of both days
    two = [pd.concat([frame, frame.assign(day="e")]) for frame in (rows, base_ctr)]
    found = of_run(*two, pd.concat([truth, truth.assign(day="e", value=0.0)]), Rankscore())
    assert {day: values["rankscore_value_of_top"] for day, values in found.by_day.items()} == {"d": 0.25, "e": 0.0}
    assert found.pooled["rankscore_value_of_top"] == 0.125
