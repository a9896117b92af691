"""Intervals from resampled users and seeds: by hand, by rows that are really resampled, and how often they hold."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from tests.trainer.comparison import example
from trainer.comparison.intervals import (
    RESAMPLES,
    Interval,
    Resamples,
    interval_of_mean,
    resampled_metrics,
    seed_counts,
)
from trainer.evaluation.metrics import MetricName

AUC, GAUC, MSE = (MetricName("cvr", metric) for metric in ("auc", "gauc_impressions", "mse"))
TARGETS = ("ctr", "cvr")


def frame(users: Sequence[str], positive: list[int], predicted: list[float]) -> pd.DataFrame:
    """One day of cvr."""
    label = np.array(positive, float)
    return pd.DataFrame({
        "user_id": list(users), "day": "d", "task": "cvr", "label": label, "positive": label, "defined": 1.0,
        "prediction": predicted,
    })  # fmt: skip


def test_resamples_by_hand():
    # a: a positive at .9, a negative at .4; b: a positive at .4, a negative at .1; c: a negative at .5
    rows = frame("aabbc", [1, 0, 1, 0, 0], [0.9, 0.4, 0.4, 0.1, 0.5])
    counts = np.array([[1, 0, 2, 0], [1, 2, 1, 0], [1, 1, 0, 3]], np.uint16)
    found = resampled_metrics(rows, [AUC, GAUC, MSE], Resamples(pd.Index(list("abc")), counts))
    # pairs of a's positive: 3 of 3 right; of b's: half of the tie with a, b's own, not c's
    # 1: (3 + 1.5) / 6. 2: twice b's positive, twice b's negative and c: 4 of 6. 3: twice a, once b: a's positive twice
    # over 3 negatives, b's over a's two, tied, and b's own: (6 + 2) / 9. 4: no positive
    assert found[AUC] == pytest.approx([4.5 / 6, 4 / 6, 8 / 9, np.nan], nan_ok=True)
    assert found[GAUC] == pytest.approx([1, 1, 1, np.nan], nan_ok=True)
    by_user = np.array([0.01 + 0.16, 0.36 + 0.01, 0.25])
    means = [by_user.sum() / 5, (2 * by_user[1] + by_user[2]) / 5, (2 * by_user[0] + by_user[1]) / 6, by_user[2]]
    assert found[MSE] == pytest.approx(means)


def resampled_rows(rows: pd.DataFrame, counts: dict[str, int]) -> pd.DataFrame:
    """Every row as often as its user was drawn; each time the user is another one."""
    copies = [
        of_user.assign(user_id=f"{user}/{copy}")
        for user, of_user in rows.groupby("user_id")
        for copy in range(counts[user])
    ]
    return pd.concat(copies)


def share_of_pairs(of_user: pd.DataFrame) -> float | None:
    """A user's AUC, pair by pair; None without both classes."""
    rows = list(zip(of_user["positive"], of_user["prediction"], strict=True))
    right = [(a > b) + 0.5 * (a == b) for is_yes, a in rows if is_yes for is_other_yes, b in rows if not is_other_yes]
    return sum(right) / len(right) if right else None


def reference(rows: pd.DataFrame) -> dict[str, float]:
    """The metrics of one task's rows, user by user and day by day."""
    defined = rows[rows["defined"] > 0]
    of_users = [(len(of_user), share_of_pairs(of_user)) for _, of_user in defined.groupby(["user_id", "day"])]
    known = [(count, auc) for count, auc in of_users if auc is not None]
    return {
        "auc": roc_auc_score(defined["positive"], defined["prediction"]),
        "gauc_impressions": sum(count * auc for count, auc in known) / sum(count for count, _ in known),
        "mse": float(((defined["prediction"].astype(float) - defined["label"].astype(float)) ** 2).mean()),
    }


def with_ties(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(prediction=rows["prediction"].round(1))


def test_rows_that_are_really_resampled_give_the_same_metrics_and_intervals():
    names = [MetricName(target, metric) for target in TARGETS for metric in ("auc", "gauc_impressions", "mse")]
    seeds = [with_ties(example.predictions(TARGETS, 0, seed, 0.2)) for seed in range(2)]
    base = [with_ties(example.predictions(TARGETS, 1, seed, 0.1)) for seed in range(2)]
    drawn = Resamples.of(seeds[0]["user_id"])
    few = Resamples(drawn.users, drawn.counts[:, :8])
    found, of_base = ([resampled_metrics(run, names, few) for run in runs] for runs in (seeds, base))
    of_seeds, expected = seed_counts(2, 8), {name: [] for name in names}
    for resample in range(8):
        counts = dict(zip(few.users, few.counts[:, resample], strict=True))
        for target in TARGETS:
            slow, slow_base = (
                [reference(resampled_rows(run[run["task"] == target], counts)) for run in runs]
                for runs in (seeds, base)
            )
            for metric in ("auc", "gauc_impressions", "mse"):
                name = MetricName(target, metric)
                assert [run[name][resample] for run in found] == pytest.approx([run[metric] for run in slow])
                chosen = np.repeat(range(2), of_seeds[:, resample])
                expected[name].append(np.mean([slow[n][metric] - slow_base[n][metric] for n in chosen]))
    for name in names:
        interval = interval_of_mean([a[name] - b[name] for a, b in zip(found, of_base, strict=True)])
        low, high = np.percentile(expected[name], [2.5, 97.5])
        assert interval == Interval(pytest.approx(low), pytest.approx(high)) and low < high


def test_a_model_in_the_order_of_the_base_differs_by_nothing():
    """Its interval is as wide as the base's: both saw the same users."""
    base = example.predictions(TARGETS, 0, 0, 0.2)
    halved, resamples = base.assign(prediction=base["prediction"] / 2), Resamples.of(base["user_id"])
    of_base, of_model = (resampled_metrics(run, [AUC, GAUC], resamples) for run in (base, halved))
    for name in (AUC, GAUC):
        interval = interval_of_mean([of_base[name]])
        assert interval is not None and interval.high - interval.low > 0.1
        assert interval_of_mean([of_model[name]]) == interval
        assert interval_of_mean([of_model[name] - of_base[name]]) == Interval(0.0, 0.0)


def test_resamples_draw_as_many_users_and_seeds_as_there_are_and_are_the_same_each_time():
    users = pd.Series([f"u{n}" for n in range(50)] * 2)
    resamples = Resamples.of(users)
    assert resamples.counts.shape == (50, RESAMPLES) and (resamples.counts.sum(axis=0) == 50).all()
    assert resamples.counts.var() == pytest.approx(1 - 1 / 50, abs=0.02)  # of a multinomial count
    again = Resamples.of(users.sample(frac=1, random_state=0))
    assert (again.users == resamples.users).all() and (again.counts == resamples.counts).all()
    seeds = seed_counts(5, RESAMPLES)
    assert (
        seeds.shape == (5, RESAMPLES) and (seeds.sum(axis=0) == 5).all() and (seeds == seed_counts(5, RESAMPLES)).all()
    )
    assert seeds.var() == pytest.approx(1 - 1 / 5, abs=0.04)


@pytest.mark.parametrize(("positives", "known"), [(0, False), (1, False), (2, False), (4, True)])
def test_too_few_users_with_positives_give_no_interval(positives, known):
    """No positive is drawn in about e^-positives of the resamples: 14 % for two users, 2 % for four."""
    users = [chr(ord("a") + n) for n in range(100)]
    rows = frame(users, [1] * positives + [0] * (100 - positives), list(np.linspace(0.9, 0.1, 100)))
    found = resampled_metrics(rows, [AUC, MSE], Resamples.of(rows["user_id"]))
    assert (interval_of_mean([found[AUC]]) is not None) == known
    assert interval_of_mean([found[MSE]]) is not None


def test_a_target_without_rows_that_count_is_undefined_and_one_that_is_not_predicted_is_absent():
    rows = frame("ab", [1, 0], [0.9, 0.1]).assign(defined=0.0)
    found = resampled_metrics(rows, [AUC, GAUC, MSE, MetricName("ctr", "auc")], Resamples.of(rows["user_id"]))
    assert list(found) == [AUC, GAUC, MSE] and all(np.isnan(values).all() for values in found.values())
    assert all(interval_of_mean([values, values]) is None for values in found.values())


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    """Errors whose mean over all users and seeds is 6: users' own, of variance 1, and seeds' of variance .01."""
    held, random = 0, np.random.default_rng(0)
    for _ in range(100):
        errors = random.normal(6, 1, (1, 50)) + random.normal(0, 0.1, (3, 1))
        counts = random.multinomial(50, np.full(50, 1 / 50), size=200).T
        users = pd.Index([f"u{n}" for n in range(50)])
        resamples = Resamples(users, counts.astype(np.uint16))
        runs = [resampled_metrics(frame(users, [0] * 50, list(of_seed**0.5)), [MSE], resamples) for of_seed in errors]
        interval = interval_of_mean([run[MSE] for run in runs])
        held += interval is not None and interval.low <= 6 <= interval.high
    assert 89 <= held <= 99, held
