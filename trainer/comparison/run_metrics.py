"""Metrics of one model and seed: over all days together, by day, by domain, and by activity of users."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from trainer.comparison import selection
from trainer.comparison.intervals import Resamples, Values, resampled_metrics
from trainer.comparison.request import Family
from trainer.evaluation.metrics import MetricName, MetricValues, evaluate, evaluate_tops, metrics_by_task


@dataclass(frozen=True)
class RunMetrics:
    """pooled: all days together; by_...: by name of the day, the domain or the group of users.

    resampled: the headline metrics, all days together, on each resample of users.
    """

    pooled: MetricValues
    by_day: dict[str, MetricValues]
    by_domain: dict[str, MetricValues] = field(default_factory=dict)
    by_activity: dict[str, MetricValues] = field(default_factory=dict)
    resampled: dict[MetricName, Values] = field(default_factory=dict)

    def extended(self, pooled: MetricValues, by_day: Mapping[str, MetricValues]) -> "RunMetrics":
        """With further metrics of the same days."""
        days = {day: values | by_day.get(day, {}) for day, values in self.by_day.items()}
        return replace(self, pooled=self.pooled | pooled, by_day=days)


def run_metrics(
    predictions: pd.DataFrame, activity: Mapping[str, str], resamples: Resamples, family: Family
) -> RunMetrics:
    """predictions: contract.PREDICTIONS and `day`; activity: user -> group; resamples: of the same users."""
    group = predictions["user_id"].map(activity)
    names = selection.HEADLINE[family]
    return RunMetrics(
        pooled=_all_metrics(predictions),
        by_day={str(day): _all_metrics(rows) for day, rows in predictions.groupby("day")},
        by_domain={str(domain): _chosen(rows, names) for domain, rows in predictions.groupby("domain")},
        by_activity={str(name): _chosen(rows, names) for name, rows in predictions.groupby(group)},
        resampled=resampled_metrics(predictions, names, resamples),
    )


def activity_groups(users: "pd.Series[str]") -> dict[str, str]:
    """user -> quartile of users by their number of impressions (ESM2 figure 7 groups by purchases).

    users: the user of each impression. Users with equal numbers share a group; a quartile that ties leave empty is
    absent.
    """
    counts = users.groupby(users).size()
    edges = np.unique(np.quantile(counts, [0.25, 0.5, 0.75], method="lower"))
    quartile = pd.Series(np.searchsorted(edges, counts, side="left"), index=counts.index)
    names = {
        number: f"{n + 1}: {of_group.min():,} to {of_group.max():,} impressions"
        for n, (number, of_group) in enumerate(counts.groupby(quartile))
    }
    return {str(user): names[number] for user, number in quartile.items()}


def _all_metrics(predictions: pd.DataFrame) -> MetricValues:
    values: MetricValues = {}
    for task, rows in predictions.groupby("task"):
        target = str(task)
        metrics = evaluate(rows)
        for name in selection.METRICS:
            if name != "mse" or target in selection.WITH_MSE:
                values[MetricName(target, name)] = metrics[name]
        if target in selection.WITH_TOPS:
            values |= {MetricName(target, name): value for name, value in evaluate_tops(rows).items()}
    return values


def _chosen(predictions: pd.DataFrame, names: Sequence[MetricName]) -> MetricValues:
    metrics = metrics_by_task(predictions)
    return {name: metrics[name.target][name.metric] for name in names if name.target in metrics}
