"""Means, standard deviations and paired tests by hand."""

import numpy as np
import pytest

from trainer.comparison.differences import Difference, MeanAndSd, compare_with_base
from trainer.comparison.intervals import Interval
from trainer.comparison.run_metrics import RunMetrics
from trainer.evaluation.metrics import MetricName

CTR_AUC, CVR_MSE = MetricName("ctr", "auc"), MetricName("cvr", "mse")


def run(*by_day: float | None, name: MetricName = CTR_AUC) -> RunMetrics:
    """One metric by day; pooled is the days' mean."""
    defined = [value for value in by_day if value is not None]
    days = {f"2026-01-0{n + 2}": {name: value} for n, value in enumerate(by_day)}
    return RunMetrics({name: float(np.mean(defined)) if defined else None}, days)


def test_mean_sd_difference_and_paired_test_by_hand():
    # differences by seed and day: .1 .3 | .2 .2: mean .2, sd sqrt(.02 / 3), t = .2 / (sd / 2) = 4.899 on 3 degrees
    base = [run(0.5, 0.4), run(0.5, 0.6)]
    found = compare_with_base([run(0.6, 0.7), run(0.7, 0.8)], base, "ranker")
    assert found.metrics[CTR_AUC].mean == pytest.approx(0.7)  # seeds .65 and .75
    assert found.metrics[CTR_AUC].sd == pytest.approx(0.1 / 2**0.5)
    assert found.differences[CTR_AUC].value == pytest.approx(0.2)
    assert found.differences[CTR_AUC].pairs == 4
    assert found.differences[CTR_AUC].p == pytest.approx(0.01628, abs=1e-5)  # t table, two-sided
    assert found.by_day["2026-01-03"][CTR_AUC].mean == pytest.approx(0.75)


def test_a_pair_needs_both_values_and_the_test_needs_different_pairs():
    base = [run(0.5, None)]
    found = compare_with_base([run(0.6, 0.7)], base, "ranker")
    assert found.differences[CTR_AUC] == Difference(pytest.approx(0.15), None, 1)
    assert compare_with_base(base, base, "ranker").differences[CTR_AUC].p is None
    undefined = compare_with_base([run(None, None)], base, "ranker")
    assert undefined.metrics[CTR_AUC] == MeanAndSd(None, None)
    assert undefined.differences[CTR_AUC] == Difference(None, None, 0)


def resampled(*values: float, name: MetricName = CTR_AUC) -> RunMetrics:
    """A metric on each resample of users."""
    return RunMetrics({name: 0.7}, {}, resampled={name: np.array(values)})


def test_intervals_of_the_mean_and_of_the_difference_on_the_same_resamples():
    # quantiles .025 and .975 of n equal steps lie that share of the way along them; one seed, so none is left out
    model, base = resampled(0.6, 0.7, 0.8, 0.9, 1.0), resampled(0.5, 0.7, 0.6, 0.8, 0.7)  # differences .1 0 .2 .1 .3
    found = compare_with_base([model], [base], "ranker")
    assert found.intervals == {CTR_AUC: Interval(pytest.approx(0.61), pytest.approx(0.99))}
    assert found.difference_intervals == {CTR_AUC: Interval(pytest.approx(0.01), pytest.approx(0.29))}
    same = compare_with_base([base, base], [base, base], "ranker")
    assert same.difference_intervals == {CTR_AUC: Interval(0.0, 0.0)}


def test_an_interval_is_undefined_where_too_few_resamples_are_defined():
    model, base = resampled(0.6, np.nan, 0.8, 0.9, 1.0), resampled(0.5, 0.5, 0.5, 0.5, 0.5)
    found = compare_with_base([model], [base], "ranker")
    assert found.intervals == found.difference_intervals == {CTR_AUC: None}
    assert compare_with_base([run(0.6)], [run(0.5)], "ranker").intervals == {}


def test_errors_against_another_label_are_not_compared():
    base = [run(0.1, name=CVR_MSE)]
    assert CVR_MSE in compare_with_base([run(0.2, name=CVR_MSE)], base, "ranker").differences
    other = compare_with_base([run(0.2, name=CVR_MSE)], base, "ranker", other_label=True)
    assert other.metrics[CVR_MSE].mean == 0.2 and not other.differences
    model, base = resampled(0.2, 0.3, name=CVR_MSE), resampled(0.1, 0.2, name=CVR_MSE)
    other = compare_with_base([model], [base], "ranker", other_label=True)
    assert other.intervals[CVR_MSE] is not None and not other.difference_intervals
    assert CTR_AUC in compare_with_base([run(0.6)], [run(0.5)], "ranker", other_label=True).differences
