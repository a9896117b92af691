"""A comparison in MLflow: one run with the table and the figures, and one a model, so that Compare works on them."""

from collections.abc import Mapping

from conf.settings.model_file import ModelFile
from conf.settings.run_file import Settings
from trainer.comparison import selection
from trainer.comparison.differences import ModelComparison
from trainer.comparison.request import Request
from trainer.tracking import figures
from trainer.tracking import mlflow_runs as tracking

EXPERIMENT = "comparison"


def log(
    settings: Settings,
    request: Request,
    models: Mapping[str, ModelFile],
    comparisons: Mapping[str, ModelComparison],
    table: str,
) -> None:
    name = request.name
    params = {"seeds": request.seeds, "from": request.first, "to": request.last, "base": request.base}
    tags = {"job": "compare_models", "comparison": name}
    with tracking.run(settings, EXPERIMENT, name, key=name, tags=tags) as whole:
        whole.params({**params, "models": len(models), "rankscore": request.rankscore})
        whole.text(table, "comparison.md")
        _log_figures(whole, request, comparisons)
        for model, comparison in comparisons.items():
            title, key = f"{name} {model}", f"{name}/{model}"
            with tracking.run(settings, EXPERIMENT, title, key=key, tags={**tags, "model": model}) as run:
                run.params({"model": model, **params, **models[model].choices()})
                run.metrics(_metrics(comparison, None if model == request.base else request.base), request.last)


def _log_figures(run: tracking.Run, request: Request, comparisons: Mapping[str, ModelComparison]) -> None:
    """A figure shows only models whose metric is comparable with the base's."""
    for metric in selection.PICTURED[request.family]:
        shown = {
            model: found.metrics[metric]
            for model, found in comparisons.items()
            if selection.comparable(metric, found.other_label)
        }
        means = {model: value.mean for model, value in shown.items() if value.mean is not None}
        sds = {model: value.sd for model, value in shown.items() if value.sd is not None}
        if means:
            run.figure(figures.metric_by_model(means, sds, request.base, str(metric)), f"{metric}_by_model")
    for metric in selection.BY_GROUP[request.family]:
        groups = {
            model: {group: (of[metric].mean, of[metric].sd) for group, of in found.by_activity.items()}
            for model, found in comparisons.items()
            if selection.comparable(metric, found.other_label)
        }
        run.figure(figures.metric_by_group(groups, request.base, str(metric)), f"{metric}_by_activity")


def _metrics(comparison: ModelComparison, base: str | None) -> dict[str, float]:
    """<metric>: mean over seeds; <metric>_sd; <metric>_minus_<base>. Undefined ones are left out."""
    values = {str(name): value.mean for name, value in comparison.metrics.items()}
    values |= {f"{name}_sd": value.sd for name, value in comparison.metrics.items()}
    if base:
        values |= {f"{name}_minus_{base}": found.value for name, found in comparison.differences.items()}
    return {name: value for name, value in values.items() if value is not None}
