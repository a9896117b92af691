"""A comparison in MLflow: one run with the table and the figures, and one a model, so that Compare works on them."""

from collections.abc import Mapping
from dataclasses import asdict

from conf.settings.model_file import ModelFile
from conf.settings.run_file import Settings
from trainer.comparison import selection
from trainer.comparison.differences import MeanAndSd, ModelComparison
from trainer.comparison.intervals import PERCENT, Interval
from trainer.comparison.request import Request
from trainer.comparison.traffic import Traffic
from trainer.evaluation.metrics import MetricName
from trainer.tracking import figures
from trainer.tracking import mlflow_runs as tracking

EXPERIMENT = "comparison"


def log(
    settings: Settings,
    request: Request,
    models: Mapping[str, ModelFile],
    comparisons: Mapping[str, ModelComparison],
    traffic: Traffic,
    table: str,
) -> None:
    name = request.name
    params = {"seeds": request.seeds, "from": request.first, "to": request.last, "base": request.base}
    tags = {"job": "compare_models", "comparison": name}
    with tracking.run(settings, EXPERIMENT, name, key=name, tags=tags) as whole:
        whole.params({**params, "models": len(models), "rankscore": request.rankscore})
        whole.text(table, "comparison.md")
        _log_figures(whole, request, comparisons, traffic)
        for model, comparison in comparisons.items():
            title, key = f"{name} {model}", f"{name}/{model}"
            with tracking.run(settings, EXPERIMENT, title, key=key, tags={**tags, "model": model}) as run:
                run.params({"model": model, **params, **models[model].choices()})
                run.metrics(_metrics(comparison, None if model == request.base else request.base), request.last)


def _log_figures(
    run: tracking.Run, request: Request, comparisons: Mapping[str, ModelComparison], traffic: Traffic
) -> None:
    """A figure shows only models whose metric is comparable with the base's."""
    for metric in selection.PICTURED[request.family]:
        shown = {
            model: found.metrics[metric]
            for model, found in comparisons.items()
            if selection.comparable(metric, found.other_label)
        }
        means = {model: value.mean for model, value in shown.items() if value.mean is not None}
        if means:
            bars, meaning = _bars(shown, {model: comparisons[model].intervals.get(metric) for model in shown})
            figure = figures.metric_by_model(means, bars, request.base, f"{metric}, next-day, {meaning}")
            run.figure(figure, f"{metric}_by_model")
    for metric in selection.HEADLINE[request.family]:
        known = {
            model: found for model, found in comparisons.items() if selection.comparable(metric, found.other_label)
        }
        activity = {model: _of_groups(metric, found.by_activity) for model, found in known.items()}
        run.figure(figures.metric_by_group(activity, request.base, str(metric)), f"{metric}_by_activity")
        domains = {model: _of_groups(metric, found.by_domain) for model, found in known.items()}
        impressions = {domain: clicks.impressions for domain, clicks in traffic.domains.items()}
        figure = figures.metric_by_domain(impressions, domains, request.base, str(metric))
        run.figure(figure, f"{metric}_by_domain")


def _of_groups(
    metric: MetricName, groups: Mapping[str, Mapping[MetricName, MeanAndSd]]
) -> dict[str, tuple[float | None, float | None]]:
    return {group: (metrics[metric].mean, metrics[metric].sd) for group, metrics in groups.items()}


def _metrics(comparison: ModelComparison, base: str | None) -> dict[str, float]:
    """<metric>: mean over seeds; <metric>_sd; <metric>_minus_<base>; of both, _low and _high of the interval.

    Undefined ones are left out.
    """
    values = {str(name): value.mean for name, value in comparison.metrics.items()}
    values |= {f"{name}_sd": value.sd for name, value in comparison.metrics.items()}
    values |= _ends({str(name): interval for name, interval in comparison.intervals.items()})
    if base:
        values |= {f"{name}_minus_{base}": found.value for name, found in comparison.differences.items()}
        values |= _ends({f"{name}_minus_{base}": found for name, found in comparison.difference_intervals.items()})
    return {name: value for name, value in values.items() if value is not None}


def _ends(intervals: Mapping[str, Interval | None]) -> dict[str, float | None]:
    known = {name: interval for name, interval in intervals.items() if interval}
    return {f"{name}_{end}": value for name, found in known.items() for end, value in asdict(found).items()}


def _bars(
    spreads: Mapping[str, MeanAndSd], intervals: Mapping[str, Interval | None]
) -> tuple[dict[str, tuple[float, float]], str]:
    """model -> both ends of its bar, and what they are: of the interval if there is one, else a standard deviation."""
    known = {model: (found.low, found.high) for model, found in intervals.items() if found}
    if known:
        return known, f"mean over seeds and {PERCENT} interval"
    ends = {
        model: (value.mean - value.sd, value.mean + value.sd)
        for model, value in spreads.items()
        if value.mean is not None and value.sd is not None
    }
    return ends, "mean ± sd over seeds"
