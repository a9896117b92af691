"""A comparison in MLflow: a run a model, such that Compare sets them side by side, and one for the table."""

from collections.abc import Mapping

from conf.settings.model_file import ModelFile
from conf.settings.run_file import Settings
from trainer.comparison.statistics import AGAINST_LABEL, OF_DAYS, OF_GROUPS, Asked, Compared
from trainer.tracking import figures
from trainer.tracking import mlflow_runs as tracking

EXPERIMENT = "comparison"
PICTURED = {
    "ranker": (*OF_GROUPS["ranker"], "ctr_gauc_impressions", "ctcvr_gauc_impressions", "rankscore_value_of_top"),
    "tagger": OF_DAYS["tagger"],
}


def log(
    settings: Settings,
    name: str,
    asked: Asked,
    models: Mapping[str, ModelFile],
    found: Mapping[str, Compared],
    table: str,
) -> None:
    """Metrics of a model's run are means over seeds, with their standard deviation as <metric>_sd.

    What is undefined is left out.
    """
    of_all = {"seeds": asked.seeds, "from": asked.first, "to": asked.last, "base": asked.base}
    tags = {"job": "compare_models", "comparison": name}
    with tracking.run(settings, EXPERIMENT, name, key=name, tags=tags) as whole:
        whole.params({**of_all, "models": len(models), "rankscore": asked.rankscore})
        whole.text(table, "comparison.md")
        for metric in PICTURED[asked.section]:
            spreads = {
                model: compared.spreads[metric]
                for model, compared in found.items()
                if not (compared.other_label and metric in AGAINST_LABEL)
            }
            means = {model: s.mean for model, s in spreads.items() if s.mean is not None}
            sds = {model: s.sd for model, s in spreads.items() if s.sd is not None}
            if means:
                whole.figure(figures.metric_by_model(means, sds, asked.base, metric), f"{metric}_by_model")
        for metric in OF_GROUPS[asked.section]:
            groups = {
                model: {group: (of[metric].mean, of[metric].sd) for group, of in compared.by_activity.items()}
                for model, compared in found.items()
                if not (compared.other_label and metric in AGAINST_LABEL)
            }
            whole.figure(figures.metric_by_group(groups, asked.base, metric), f"{metric}_by_activity")
        for model, compared in found.items():
            title, key = f"{name} {model}", f"{name}/{model}"
            with tracking.run(settings, EXPERIMENT, title, key=key, tags={**tags, "model": model}) as run:
                run.params({"model": model, **of_all, **models[model].choices()})
                values = {m: s.mean for m, s in compared.spreads.items() if s.mean is not None}
                values |= {f"{m}_sd": s.sd for m, s in compared.spreads.items() if s.sd is not None}
                differences = {m: d.value for m, d in compared.differences.items() if d.value is not None}
                values |= {f"{m}_minus_{asked.base}": value for m, value in differences.items() if model != asked.base}
                run.metrics(values, asked.last)
