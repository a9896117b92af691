"""95 % intervals from resampled users and seeds (the bootstrap).

A resample draws as many users as there are, with replacement and each with all rows, and as many seeds. Every model of
a comparison sees the same resamples, so differences are paired. Days are not resampled: an interval is about other
users and other seeds on these days.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]  # scipy ships no types

from trainer.evaluation.metrics import MetricName, user_aucs

RESAMPLES = 1000
LEVEL = 0.95
PERCENT = f"{100 * LEVEL:g} %"
LEAST_DEFINED = 0.9  # of the resamples; two users with positives reach 0.86, three 0.95
_USERS, _SEEDS = 0, 1  # what random numbers are for
_BLOCK = 20  # resamples at a time, whose counts of users then fit the processor's cache

Values = NDArray[np.float64]  # of a metric, by resample [resamples]; NaN: undefined in that resample
Array = NDArray[Any]
Measure = Callable[[Array], Array]  # how often each user counts [users, some resamples] -> the metric by resample


@dataclass(frozen=True)
class Interval:
    low: float
    high: float


@dataclass(frozen=True)
class Resamples:
    """users: each once. counts: how often a resample drew a user [users, resamples]."""

    users: pd.Index
    counts: NDArray[np.uint16]

    @staticmethod
    def of(users: "pd.Series[str]") -> "Resamples":
        """users: in any order and number; the same set of users gives the same resamples."""
        index = pd.Index(users.unique()).sort_values()
        counts, random = np.empty((len(index), RESAMPLES), np.uint16), np.random.default_rng([_USERS])
        for resample in range(RESAMPLES):
            drawn = random.integers(len(index), size=len(index))
            counts[:, resample] = np.bincount(drawn, minlength=len(index))
        return Resamples(index, counts)

    def blocks(self) -> Iterator[Values]:
        """The counts, some resamples at a time."""
        for start in range(0, self.counts.shape[1], _BLOCK):
            yield self.counts[:, start : start + _BLOCK].astype(np.float64)


def resampled_metrics(
    predictions: pd.DataFrame, names: Sequence[MetricName], resamples: Resamples
) -> dict[MetricName, Values]:
    """One run's metrics on every resample of users; targets that it does not predict are left out.

    predictions: contract.PREDICTIONS and `day`. names: auc, gauc_impressions or mse of some targets.
    """
    count = len(resamples.users)
    coded = predictions.assign(user_id=resamples.users.get_indexer(predictions["user_id"]))
    by_target = {str(task): rows[rows["defined"] > 0] for task, rows in coded.groupby("task")}
    measures = {
        name: _MEASURES[name.metric](by_target[name.target], count) for name in names if name.target in by_target
    }
    blocks = [[measure(counts) for measure in measures.values()] for counts in resamples.blocks()]
    return {name: np.concatenate(values) for name, values in zip(measures, zip(*blocks, strict=True), strict=True)}


def interval_of_mean(runs: Sequence[Values]) -> Interval | None:
    """Of the mean over seeds; runs: a metric (or a difference of two) of each seed, on the same resamples of users.

    A resample in which it is undefined is left out. None: more than a tenth are.
    """
    values = np.stack(runs)
    means = (values * seed_counts(*values.shape)).sum(axis=0) / len(values)
    defined = means[~np.isnan(means)]
    if len(defined) < LEAST_DEFINED * len(means):
        return None
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def seed_counts(seeds: int, resamples: int) -> Array:
    """How often each resample drew a seed [seeds, resamples]."""
    return np.random.default_rng([_SEEDS]).multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples).T


def _auc(rows: pd.DataFrame, users: int) -> Measure:
    """The weighted share of (positive, negative) pairs in the right order.

    Pairs are counted at the levels of the positives' predictions: a negative counts a half from the first level that
    is not below it, and another half from the first level above it. So ties count a half.
    """
    user, predicted = rows["user_id"].to_numpy(), rows["prediction"].to_numpy(np.float64)
    positive = rows["positive"].to_numpy() > 0
    levels, level = np.unique(predicted[positive], return_inverse=True)
    shape = len(levels) + 1, users
    positives = csr_matrix((np.ones(len(level)), (level, user[positive])), shape)
    halves = np.concatenate([np.searchsorted(levels, predicted[~positive], side) for side in ("left", "right")])
    negatives = csr_matrix((np.full(len(halves), 0.5), (halves, np.tile(user[~positive], 2))), shape)

    def measure(counts: Array) -> Array:
        at_level, below = positives @ counts, np.cumsum(negatives @ counts, axis=0)
        return _ratio(np.einsum("lr,lr->r", at_level, below), at_level.sum(axis=0) * below[-1])

    return measure


def _gauc_impressions(rows: pd.DataFrame, users: int) -> Measure:
    """The weight of a user does not change the user's own AUCs."""
    by_user = user_aucs(rows)
    return _mean(by_user["user_id"], by_user["auc"], by_user["rows"], users)


def _mse(rows: pd.DataFrame, users: int) -> Measure:
    errors = (rows["prediction"].astype(np.float64) - rows["label"].astype(np.float64)) ** 2
    return _mean(rows["user_id"], errors, pd.Series(1.0, rows.index), users)


def _mean(user: "pd.Series[int]", values: "pd.Series[float]", weights: "pd.Series[float]", users: int) -> Measure:
    sums = csr_matrix(np.stack([np.bincount(user, of, users) for of in (values * weights, weights)]))
    return lambda counts: _ratio(*(sums @ counts))


def _ratio(numerators: Array, denominators: Array) -> Array:
    """NaN where the denominator is 0."""
    nothing = np.full(len(numerators), np.nan)
    return np.divide(numerators, denominators, out=nothing, where=denominators > 0)


_MEASURES = {"auc": _auc, "gauc_impressions": _gauc_impressions, "mse": _mse}
