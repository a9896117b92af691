import numpy as np
import pandas as pd
import pytest

from trainer.evaluation.metrics import evaluate, evaluate_tops, flatten


def frame(users, labels, predictions, defined=None):
    rows = len(labels)
    return pd.DataFrame(
        {
            "user_id": users,
            "label": labels,
            "positive": np.round(labels),
            "defined": defined or [1] * rows,
            "prediction": predictions,
        }
    )


def test_by_hand():
    # pairs (positive, negative) over all: p .9 .4 .6 | n .5 .1 -> .9>.5 .9>.1 .4<.5 .4>.1 .6>.5 .6>.1: 5 of 6
    # user a: p .9 .4, n .5 -> 1 of 2; user b: p .6, n .1 -> 1; user a has 3 rows, b 2
    metrics = evaluate(frame(list("aaabb"), [1, 0, 1, 1, 0], [0.9, 0.5, 0.4, 0.6, 0.1]))
    assert metrics["auc"] == pytest.approx(5 / 6)
    assert metrics["gauc_equal"] == pytest.approx(0.75)
    assert metrics["gauc_impressions"] == pytest.approx((3 * 0.5 + 2 * 1) / 5)
    assert metrics["mse"] == pytest.approx((0.01 + 0.25 + 0.36 + 0.16 + 0.01) / 5)
    assert metrics["logloss"] == pytest.approx(-np.log([0.9, 1 - 0.5, 0.4, 0.6, 1 - 0.1]).mean())
    assert metrics["calibration"] == pytest.approx(2.5 / 3)
    assert metrics["rows"] == 5


def test_ties_count_half():
    assert evaluate(frame(list("aa"), [1, 0], [0.5, 0.5]))["gauc_equal"] == 0.5


def test_undefined_rows_do_not_count():
    metrics = evaluate(frame(list("aaa"), [1, 0, 1], [0.9, 0.1, 0.0], defined=[1, 1, 0]))
    assert metrics["auc"] == 1 and metrics["rows"] == 2


def test_users_with_one_class_have_no_auc_of_their_own():
    assert evaluate(frame(list("aab"), [1, 0, 1], [0.9, 0.1, 0.0]))["gauc_equal"] == 1


def test_a_users_days_are_ranked_each_by_itself():
    """Together 2 of 4 pairs are right: the positive of day 1 beats both, that of day 2 none. By day: 1 and 0."""
    days = frame(list("aaaa"), [1, 0, 1, 0], [0.9, 0.8, 0.1, 0.2]).assign(day=["d", "d", "e", "e"])
    assert evaluate(days)["gauc_equal"] == pytest.approx((1 + 0) / 2)
    later = days.assign(day=["d", "d", "e", "e"], prediction=[0.5, 0.4, 0.3, 0.2])
    assert evaluate(later)["gauc_equal"] == 1
    assert evaluate(later.drop(columns="day"))["gauc_equal"] == pytest.approx(3 / 4)


def test_what_cannot_be_computed_is_none_and_never_nan():
    one_class = evaluate(frame(list("ab"), [0, 0], [0.4, 0.2]))
    assert one_class["auc"] is None and one_class["gauc_equal"] is None and one_class["calibration"] is None
    assert one_class["mse"] == pytest.approx(0.1)
    nothing = evaluate(frame(list("a"), [1], [0.4], defined=[0]))
    assert [name for name, value in nothing.items() if value is not None] == ["rows"]
    assert flatten({"ctr": nothing}) == {"ctr_rows": 0.0}


def test_recall_precision_and_f1_of_the_top_by_hand():
    # 1,000 rows, 20 of them positive; best first, rows 0, 3 and 8 are positive among the top 10 (1 %), the first of
    # them is the top 0.1 %, and the first two are in the top 6 (0.6 %)
    labels = np.zeros(1000)
    labels[[0, 3, 8]] = 1
    labels[500:517] = 1
    order = np.random.default_rng(0).permutation(1000)
    found = evaluate_tops(frame(["u"] * 1000, labels[order], np.linspace(0.9, 0.1, 1000)[order]))
    assert found == pytest.approx({
        "recall_top0.1": 1 / 20, "precision_top0.1": 1.0, "f1_top0.1": 2 * 1 * 0.05 / 1.05,
        "recall_top0.6": 2 / 20, "precision_top0.6": 2 / 6, "f1_top0.6": 2 * (1 / 3) * 0.1 / (1 / 3 + 0.1),
        "recall_top1": 3 / 20, "precision_top1": 3 / 10, "f1_top1": 2 * 0.3 * 0.15 / 0.45,
    })  # fmt: skip


def test_equal_predictions_are_taken_in_the_order_of_the_rows():
    first, last = np.zeros(1000), np.zeros(1000)
    first[:2] = last[-2:] = 1
    same = [0.5] * 1000
    assert evaluate_tops(frame(["u"] * 1000, first, same))["recall_top0.1"] == 0.5
    assert evaluate_tops(frame(["u"] * 1000, last, same))["recall_top1"] == 0


def test_the_top_of_too_few_rows_or_without_positives_is_undefined():
    few = evaluate_tops(frame(["u"] * 100, [1] + [0] * 99, np.linspace(0.9, 0.1, 100)))
    assert few["recall_top0.1"] is None and few["precision_top0.1"] is None and few["f1_top0.1"] is None
    assert few["precision_top1"] == 1
    assert set(evaluate_tops(frame(["u"] * 1000, [0] * 1000, [0.5] * 1000)).values()) == {None}
    undefined = evaluate_tops(frame(["u"] * 1000, [1] * 1000, [0.5] * 1000, defined=[0] * 1000))
    assert set(undefined.values()) == {None}
