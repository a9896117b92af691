"""Models against the base: means, standard deviations and intervals, and paired differences."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from scipy.stats import ttest_rel  # type: ignore[import-untyped]  # scipy ships no types

from trainer.comparison import selection
from trainer.comparison.intervals import Interval, interval_of_mean
from trainer.comparison.request import Family
from trainer.comparison.run_metrics import RunMetrics
from trainer.evaluation.metrics import MetricName, MetricValues

TEST = "scipy.stats.ttest_rel"


@dataclass(frozen=True)
class MeanAndSd:
    """Over seeds. mean: None when undefined for every seed; sd: None below two defined seeds."""

    mean: float | None
    sd: float | None

    @staticmethod
    def of(values: Iterable[float | None]) -> "MeanAndSd":
        defined = [value for value in values if value is not None]
        return MeanAndSd(
            mean=statistics.fmean(defined) if defined else None,
            sd=statistics.stdev(defined) if len(defined) > 1 else None,
        )


@dataclass(frozen=True)
class Difference:
    """Model minus base. p: two-sided paired t-test over `pairs` of seed and day; None: undefined."""

    value: float | None
    p: float | None
    pairs: int


@dataclass(frozen=True)
class ModelComparison:
    """One model's line of the table. other_label: it learns another conversion label than the base.

    intervals, difference_intervals: of the headline metrics; None: undefined in too many resamples.
    by_day, by_domain, by_activity: name of the day, domain or group of users -> metrics.
    """

    other_label: bool
    metrics: dict[MetricName, MeanAndSd]
    differences: dict[MetricName, Difference]
    intervals: dict[MetricName, Interval | None] = field(default_factory=dict)
    difference_intervals: dict[MetricName, Interval | None] = field(default_factory=dict)
    by_day: dict[str, dict[MetricName, MeanAndSd]] = field(default_factory=dict)
    by_domain: dict[str, dict[MetricName, MeanAndSd]] = field(default_factory=dict)
    by_activity: dict[str, dict[MetricName, MeanAndSd]] = field(default_factory=dict)


def compare_with_base(
    model: Sequence[RunMetrics], base: Sequence[RunMetrics], family: Family, other_label: bool = False
) -> ModelComparison:
    """model, base: one entry a seed, seeds in the same order, and the same resamples of users."""
    names = dict.fromkeys(name for run in model for name in run.pooled)
    comparable = [name for name in names if name in base[0].pooled and selection.comparable(name, other_label)]
    return ModelComparison(
        other_label=other_label,
        metrics={name: MeanAndSd.of(run.pooled.get(name) for run in model) for name in names},
        differences={name: _difference(name, model, base) for name in comparable},
        intervals={name: interval_of_mean([run.resampled[name] for run in model]) for name in model[0].resampled},
        difference_intervals={
            name: interval_of_mean([a.resampled[name] - b.resampled[name] for a, b in zip(model, base, strict=True)])
            for name in comparable
            if name in model[0].resampled
        },
        by_day=_by_group([run.by_day for run in model], selection.BY_DAY[family]),
        by_domain=_by_group([run.by_domain for run in model], selection.HEADLINE[family]),
        by_activity=_by_group([run.by_activity for run in model], selection.HEADLINE[family]),
    )


def _difference(name: MetricName, model: Sequence[RunMetrics], base: Sequence[RunMetrics]) -> Difference:
    runs = list(zip(model, base, strict=True))
    pooled = _defined_pairs(name, ((of_model.pooled, of_base.pooled) for of_model, of_base in runs))
    by_day = _defined_pairs(
        name, ((of_model.by_day[day], of_base.by_day[day]) for of_model, of_base in runs for day in of_model.by_day)
    )
    varied = len({a - b for a, b in by_day}) > 1  # else the test has no variance to divide by
    return Difference(
        value=statistics.fmean(a - b for a, b in pooled) if pooled else None,
        p=float(ttest_rel(*zip(*by_day, strict=True)).pvalue) if varied else None,
        pairs=len(by_day),
    )


def _defined_pairs(name: MetricName, pairs: Iterable[tuple[MetricValues, MetricValues]]) -> list[tuple[float, float]]:
    values = ((of_model.get(name), of_base.get(name)) for of_model, of_base in pairs)
    return [(a, b) for a, b in values if a is not None and b is not None]


def _by_group(
    runs: Sequence[Mapping[str, MetricValues]], names: Sequence[MetricName]
) -> dict[str, dict[MetricName, MeanAndSd]]:
    groups = sorted(set().union(*runs))
    return {
        group: {name: MeanAndSd.of(run.get(group, {}).get(name) for run in runs) for name in names} for group in groups
    }
