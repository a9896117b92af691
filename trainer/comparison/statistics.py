"""Models held against each other on the days they predicted: by seed, pooled, by day, by domain, by activity of users.

Everything is computed from predictions made before a day was trained on, so every figure is out of sample.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import ttest_rel  # type: ignore[import-untyped]  # scipy ships no types

from trainer.comparison.rankscore import Rankscore, value_of_top
from trainer.evaluation.metrics import TOP_PERCENT, Metrics, at_tops, evaluate

TEST = "scipy.stats.ttest_rel"
IN_LENGTH = "_in_length"
KEYS = ["day", "impression_id"]
WITH_TOPS = ("cvr", "ctcvr")
SHOWN = ("auc", "gauc_impressions", "gauc_equal", "mse", "calibration")
AGAINST_LABEL = ("cvr_mse", "cvr_calibration", "ctcvr_calibration")  # the label depends on what a model learns
RANKSCORE, VALUE_OF_TOP, WITH_BASE_CTR = "rankscore", "value_of_top", "value_of_top_with_base_ctr"
OF_TAGS = ("ndcg_at_5", "ndcg_at_10", "hit_rate_at_5", "hit_rate_at_10")
Section = Literal["ranker", "tagger"]
# what is shown by day, and by domain and activity of users
OF_DAYS = {
    "ranker": ("ctr_auc", "ctr_gauc_impressions", "cvr_mse", "cvr_auc", "cvr_calibration", "ctcvr_auc"),
    "tagger": tuple(
        f"{task}_{metric}"
        for task in ("interest", "intention")
        for metric in ("auc", "gauc_impressions", "ndcg_at_10", "hit_rate_at_10")
    ),
}
OF_GROUPS = {
    "ranker": ("ctr_auc", "cvr_auc", "cvr_mse", "ctcvr_auc"),
    "tagger": ("interest_auc", "interest_gauc_impressions", "intention_auc", "intention_gauc_impressions"),
}


@dataclass(frozen=True)
class RunValues:
    """Metrics (<target>_<metric>) of one model and seed: all days together, by day, and by group of rows."""

    pooled: Metrics
    by_day: dict[str, Metrics]
    by_domain: dict[str, Metrics]
    by_activity: dict[str, Metrics]


@dataclass(frozen=True)
class Spread:
    """Over seeds; None where undefined for every seed, or where a single seed has no spread."""

    mean: float | None
    sd: float | None


@dataclass(frozen=True)
class Difference:
    """Model minus base. p: two-sided paired t-test over `pairs` days of seeds; None: undefined."""

    value: float | None
    p: float | None
    pairs: int


@dataclass(frozen=True)
class Compared:
    """One model's line of the table. other_label: it learns another conversion than the base."""

    other_label: bool
    spreads: dict[str, Spread]
    differences: dict[str, Difference]
    by_day: dict[str, dict[str, Spread]] = field(default_factory=dict)
    by_domain: dict[str, dict[str, Spread]] = field(default_factory=dict)
    by_activity: dict[str, dict[str, Spread]] = field(default_factory=dict)


def values_of(
    predictions: pd.DataFrame,
    activity: Mapping[str, str],
    section: Section,
    more_pooled: Metrics,
    more_by_day: Mapping[str, Metrics],
) -> RunValues:
    """predictions: contract.PREDICTIONS and `day`; activity: user -> group; more: of the run, from elsewhere."""
    group = predictions["user_id"].map(activity)
    names = OF_GROUPS[section]
    return RunValues(
        pooled=_metrics(predictions) | more_pooled,
        by_day={str(day): _metrics(rows) | more_by_day.get(str(day), {}) for day, rows in predictions.groupby("day")},
        by_domain={str(domain): _of_group(rows, names) for domain, rows in predictions.groupby("domain")},
        by_activity={str(name): _of_group(rows, names) for name, rows in predictions.groupby(group)},
    )


def rank_values(
    predictions: pd.DataFrame, base_ctr: pd.DataFrame, truth: pd.DataFrame, score: Rankscore
) -> tuple[Metrics, dict[str, Metrics]]:
    """What the order by rankscore is worth, pooled and by day.

    base_ctr: day, impression_id, base_ctr, of the base and the same seed; truth: impression_id, day, value (and
    length); see trainer/comparison/outcomes.py.
    """
    scored = _scored(predictions, truth.merge(base_ctr, on=KEYS, validate="one_to_one"))
    days = sorted(predictions["day"].unique())
    return _rank_value(scored, score), {str(day): _rank_value(scored[scored["day"] == day], score) for day in days}


def _metrics(predictions: pd.DataFrame) -> Metrics:
    found: Metrics = {}
    for task, rows in predictions.groupby("task"):
        all_of_task = evaluate(rows)
        shown = {name: all_of_task[name] for name in SHOWN if name != "mse" or task == "cvr"}
        tops = at_tops(rows) if task in WITH_TOPS else {}
        found |= {f"{task}_{name}": value for name, value in (shown | tops).items()}
    return found


def target_and_metric(name: str) -> tuple[str, str]:
    """ "ctr_auc" to ("ctr", "auc"); a target's name may hold underscores too."""
    tops = tuple(f"{kind}_top{percent:g}" for kind in ("recall", "precision", "f1") for percent in TOP_PERCENT)
    values = [f"{metric}{unit}" for metric in (VALUE_OF_TOP, WITH_BASE_CTR) for unit in ("", IN_LENGTH)]
    metric = next(metric for metric in (*SHOWN, *OF_TAGS, *tops, *values) if name.endswith(f"_{metric}"))
    return name.removesuffix(f"_{metric}"), metric


def _of_group(predictions: pd.DataFrame, names: Sequence[str]) -> Metrics:
    metrics = {task: evaluate(rows) for task, rows in predictions.groupby("task")}
    asked = {name: target_and_metric(name) for name in names}
    return {name: metrics[target][metric] for name, (target, metric) in asked.items() if target in metrics}


def _scored(predictions: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """The rows of truth with their ctr and cvr."""
    ctr, cvr = (predictions[predictions["task"] == task] for task in ("ctr", "cvr"))
    ctr = ctr[[*KEYS, "user_id", "prediction"]].rename(columns={"prediction": "ctr"})
    cvr = cvr[[*KEYS, "prediction"]].rename(columns={"prediction": "cvr"})
    both = ctr.merge(cvr, on=KEYS, validate="one_to_one")
    return both.merge(truth, on=KEYS, validate="one_to_one")


def _rank_value(scored: pd.DataFrame, score: Rankscore) -> Metrics:
    """By the model's own CTR and CVR, and by its CVR behind the base's CTR (rows 4 and 2, 3 of LT4REC table 3).

    As the mean share watched, and where the length is known as length watched too (view time, if that is seconds).
    """
    orders = {VALUE_OF_TOP: scored, WITH_BASE_CTR: scored.assign(ctr=scored["base_ctr"])}
    found = {name: value_of_top(rows, score) for name, rows in orders.items()}
    if "length" in scored:
        watched = {name: rows.assign(value=rows["value"] * rows["length"]) for name, rows in orders.items()}
        found |= {f"{name}{IN_LENGTH}": value_of_top(rows, score) for name, rows in watched.items()}
    return {f"{RANKSCORE}_{name}": value for name, value in found.items()}


def activity_groups(predictions: pd.DataFrame, task: str) -> dict[str, str]:
    """user -> quartile of users by the number of their impressions (after ESM2 figure 7, which counts purchases).

    Users with the same number are in the same group; a group that ties leave empty is not there.
    """
    counts = predictions[predictions["task"] == task].groupby("user_id").size()
    edges = np.unique(np.quantile(counts, [0.25, 0.5, 0.75], method="lower"))
    quartile = pd.Series(np.searchsorted(edges, counts, side="left"), index=counts.index)
    names = {
        number: f"{n + 1}: {of_group.min():,} to {of_group.max():,} impressions"
        for n, (number, of_group) in enumerate(counts.groupby(quartile))
    }
    return {str(user): names[number] for user, number in quartile.items()}


def compared(
    of_model: Sequence[RunValues], of_base: Sequence[RunValues], section: Section, other_label: bool = False
) -> Compared:
    """Seeds in the same order. Of other labels, errors do not compare."""
    names = dict.fromkeys(name for values in of_model for name in values.pooled)
    return Compared(
        other_label=other_label,
        spreads={name: spread([values.pooled.get(name) for values in of_model]) for name in names},
        differences={
            name: _difference(name, of_model, of_base)
            for name in names
            if not (other_label and name in AGAINST_LABEL) and name in of_base[0].pooled
        },
        by_day=_spreads_of_groups([values.by_day for values in of_model], OF_DAYS[section]),
        by_domain=_spreads_of_groups([values.by_domain for values in of_model], OF_GROUPS[section]),
        by_activity=_spreads_of_groups([values.by_activity for values in of_model], OF_GROUPS[section]),
    )


def spread(values: Iterable[float | None]) -> Spread:
    known = [value for value in values if value is not None]
    return Spread(
        mean=statistics.fmean(known) if known else None,
        sd=statistics.stdev(known) if len(known) > 1 else None,
    )


def _difference(name: str, of_model: Sequence[RunValues], of_base: Sequence[RunValues]) -> Difference:
    pairs = [
        (a, b)
        for model, base in zip(of_model, of_base, strict=True)
        for day in model.by_day
        if (a := model.by_day[day].get(name)) is not None and (b := base.by_day[day].get(name)) is not None
    ]
    pooled = [
        a - b
        for model, base in zip(of_model, of_base, strict=True)
        if (a := model.pooled[name]) is not None and (b := base.pooled[name]) is not None
    ]
    differences = {a - b for a, b in pairs}
    p = float(ttest_rel(*zip(*pairs, strict=True)).pvalue) if len(differences) > 1 else None
    return Difference(statistics.fmean(pooled) if pooled else None, p, len(pairs))


def _spreads_of_groups(groups: Sequence[Mapping[str, Metrics]], names: Sequence[str]) -> dict[str, dict[str, Spread]]:
    return {
        group: {name: spread([of_seed.get(group, {}).get(name) for of_seed in groups]) for name in names}
        for group in sorted(set().union(*groups))
    }


def mean_of_earlier(earlier: pd.DataFrame, days: pd.DataFrame, label: str) -> float | None:
    """MSE of CVR when the mean of all earlier days is predicted: the scale that figures of other rows lack.

    Both: the clicked impressions whose conversion is known (comparison/outcomes.py), with the label in a column.
    """
    if earlier.empty or days.empty:
        return None
    return float(((days[label] - earlier[label].mean()) ** 2).mean())


@dataclass(frozen=True)
class Asked:
    """What a comparison is of; one of other models, seeds or days has another name."""

    section: Section
    models: list[str]
    base: str
    seeds: int
    first: date
    last: date
    rankscore: Rankscore | None = None
