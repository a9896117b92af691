"""Metrics of one run: pooled, by day, by domain and by users' activity."""

import numpy as np
import pandas as pd
import pytest

from trainer.comparison.differences import MeanAndSd, compare_with_base
from trainer.comparison.intervals import RESAMPLES, Resamples
from trainer.comparison.run_metrics import RunMetrics, activity_groups, run_metrics
from trainer.evaluation.metrics import MetricName

CTR_AUC, CTR_GAUC = MetricName("ctr", "auc"), MetricName("ctr", "gauc_impressions")


def test_users_are_grouped_by_quartiles_of_their_impressions():
    counts = {"a": 1, "b": 1, "c": 2, "d": 3, "e": 3, "f": 5, "g": 9, "h": 20}
    groups = activity_groups(pd.Series([user for user, count in counts.items() for _ in range(count)]))
    assert {group: sorted(u for u in groups if groups[u] == group) for group in groups.values()} == {
        "1: 1 to 1 impressions": ["a", "b"],
        "2: 2 to 3 impressions": ["c", "d", "e"],
        "3: 5 to 5 impressions": ["f"],
        "4: 9 to 20 impressions": ["g", "h"],
    }


def test_metrics_by_target_and_group():
    rows = pd.DataFrame({
        "impression_id": ["1", "2", "1", "2", "1", "2"], "user_id": "u", "item_id": "i", "domain": "d", "day": "d",
        "task": ["ctr", "ctr", "cvr", "cvr", "ctcvr", "ctcvr"], "label": [1.0, 0, 0.5, 0, 0.5, 0],
        "positive": [1.0, 0, 1, 0, 1, 0], "defined": [1.0, 1, 1, 0, 1, 1], "prediction": [0.9, 0.8, 0.7, 0.9, 0.6, 0.7],
    })  # fmt: skip
    found = run_metrics(rows, {"u": "all"}, Resamples.of(rows["user_id"]), "ranker")
    assert found.pooled[MetricName("ctr", "auc")] == 1 and found.pooled[MetricName("ctcvr", "auc")] == 0
    assert found.pooled[MetricName("cvr", "auc")] is None
    assert found.pooled[MetricName("cvr", "mse")] == pytest.approx(0.04)  # an unclicked row is no row of CVR
    assert MetricName("ctr", "mse") not in found.pooled and MetricName("ctr", "recall_top1") not in found.pooled
    assert found.by_day == {"d": found.pooled}
    groups = {CTR_AUC, CTR_GAUC, MetricName("cvr", "auc"), MetricName("cvr", "mse"), MetricName("ctcvr", "auc")}
    assert found.by_domain.keys() == {"d"} and found.by_domain["d"].keys() == groups
    assert found.by_activity.keys() == {"all"} and found.by_activity["all"].keys() == groups
    assert found.resampled.keys() == groups
    assert found.resampled[MetricName("cvr", "mse")] == pytest.approx(np.full(RESAMPLES, 0.04))


def test_a_domain_may_have_one_class_one_day_or_users_of_one_class_each():
    """quiet: no click; late: on the second day alone; split: user a clicked on all, b on nothing."""
    rows = pd.DataFrame({
        "domain": ["quiet", "quiet", "late", "late", "split", "split"], "day": ["d", "e", "e", "e", "d", "d"],
        "user_id": ["a", "a", "a", "a", "a", "b"], "positive": [0.0, 0, 1, 0, 1, 0],
        "prediction": [0.2, 0.1, 0.4, 0.3, 0.9, 0.2],
    })  # fmt: skip
    rows = rows.assign(task="ctr", label=rows["positive"], defined=1.0)
    found = run_metrics(rows, {"a": "all", "b": "all"}, Resamples.of(rows["user_id"]), "ranker")
    assert found.by_domain == {
        "quiet": {CTR_AUC: None, CTR_GAUC: None},
        "late": {CTR_AUC: 1.0, CTR_GAUC: 1.0},
        "split": {CTR_AUC: 1.0, CTR_GAUC: None},
    }
    assert compare_with_base([found], [found], "ranker").by_domain["quiet"][CTR_AUC] == MeanAndSd(None, None)


def test_further_metrics_are_added_to_the_days_that_are_there():
    auc, value = MetricName("ctr", "auc"), MetricName("rankscore", "value_of_top")
    found = RunMetrics({auc: 0.7}, {"d": {auc: 0.6}, "e": {auc: 0.8}}).extended({value: 0.3}, {"d": {value: 0.2}})
    assert found == RunMetrics({auc: 0.7, value: 0.3}, {"d": {auc: 0.6, value: 0.2}, "e": {auc: 0.8}})
