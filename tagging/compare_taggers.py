"""JOB: several taggers over the same days and seeds, and the table that holds them against a base.

    python -m tagging.compare_taggers --config conf/kuairand.toml --models mvke two_tower_mmoe --seeds 5 \\
        --from 2022-05-05 --to 2022-05-06

As trainer.compare_models: what is published already is left alone. AUC and GAUC are of the next-day predictions; hit
rate and nDCG are of each user's best tags by the model of the day before, against what the user dealt with that day
(tagging/evaluation/relevance.py). Plain baselines are held beside: the tags most popular so far, the user's own
counts, and both.
"""

import argparse
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from conf import cli, log
from conf.paths import Paths
from conf.settings.model_file import TaggerModel
from conf.settings.run_file import Settings
from tagging.evaluation import relevance
from tagging.evaluation.relevance import Dealt, Quality
from tagging.scoring.export import export
from trainer.comparison import publication, report, tracking
from trainer.comparison.arguments import add_arguments, declared_models, request_of
from trainer.comparison.differences import ModelComparison, compare_with_base
from trainer.comparison.predictions import predictions_of
from trainer.comparison.request import Request
from trainer.comparison.run_metrics import RunMetrics, activity_groups, run_metrics
from trainer.comparison.training import train_all, with_seed
from trainer.daily.open import open_tagger
from trainer.data import vocabulary
from trainer.evaluation.metrics import MetricValues
from trainer.objectives.build import objective_of

ONE_DAY = timedelta(days=1)


def parser() -> argparse.ArgumentParser:
    parsed = cli.parser("Train several taggers over the same days and seeds, and compare them.")
    add_arguments(parsed, base="two_tower", name="taggers")
    return parsed


def main() -> None:
    arguments = parser().parse_args()
    settings = cli.load(arguments)
    request = request_of(arguments, "tagger")
    declared = declared_models(settings, request)
    models = {name: model for name, model in declared.items() if model.family == "tagger"}  # no other is left
    if not arguments.force and publication.is_complete(settings, request):
        return
    train_all(settings, request, models)
    comparisons, baselines, impressions = evaluate_all(settings, models, request)
    table = report.markdown(request, comparisons, impressions, _notes(baselines))
    content = publication.as_json(request, comparisons, impressions)
    content["baselines"] = {
        name: {str(metric): value for metric, value in values.items()} for name, values in baselines.items()
    }
    tracking.log(settings, request, models, comparisons, table)
    publication.publish_comparison(settings, request, table, content)


def evaluate_all(
    settings: Settings, models: Mapping[str, TaggerModel], request: Request
) -> tuple[dict[str, ModelComparison], dict[str, MetricValues], int]:
    """Each model's line of the table, the baselines' metrics, and how many impressions all this is of."""
    days = request.days
    tasks = {task.name: task for model in models.values() for task in objective_of(model, settings).heads}
    dealt = {
        day: relevance.dealt_with(settings, day, list(tasks.values()))
        for day in cli.days(settings.training.start, request.last)
    }
    paths = Paths(settings.lake.root)
    of_base = predictions_of(paths, request, request.base, 0)
    users = of_base.loc[of_base["task"] == models[request.base].tasks[0], "user_id"]
    activity = activity_groups(users)
    values: dict[str, list[RunMetrics]] = {}
    for name, model in models.items():
        values[name] = []
        for seed in range(request.seeds):
            predictions = predictions_of(paths, request, name, seed)
            of_days = {day: _of_day(with_seed(settings, seed), name, day, dealt[day], model.tasks) for day in days}
            more = _pooled(of_days.values()), {str(day): _pooled([of_day]) for day, of_day in of_days.items()}
            values[name].append(run_metrics(predictions, activity, request.family).extended(*more))
        log.event("model evaluated", model=name, seeds=request.seeds)
    found = {name: compare_with_base(values[name], values[request.base], request.family) for name in models}
    return found, _baselines(settings, days, dealt), len(users)


def _of_day(
    settings: Settings, name: str, day: date, dealt: Mapping[str, Dealt], tasks: Sequence[str]
) -> dict[str, Quality]:
    """Quality on a day of the model of the day before, for the tags known then."""
    run = open_tagger(settings, name)
    tags = list(vocabulary.values(run.paths, day - ONE_DAY, settings.tagger.tag_feature))
    exported = export(run.load_model(day - ONE_DAY).cpu(), tags)
    return relevance.of_tagger(exported, {task: dealt[task] for task in tasks})


def _pooled(of_days: Any) -> MetricValues:
    sums: dict[str, Quality] = {}
    for of_day in of_days:
        for task, found in of_day.items():
            sums[task] = sums.get(task, relevance.NONE) + found
    return {name: value for task, found in sums.items() for name, value in found.metrics(task).items()}


def _baselines(
    settings: Settings, days: Sequence[date], dealt: Mapping[date, Mapping[str, Dealt]]
) -> dict[str, MetricValues]:
    paths, by_name = Paths(settings.lake.root), dict[str, list[dict[str, Quality]]]()
    for day in days:
        tags = list(vocabulary.values(paths, day - ONE_DAY, settings.tagger.tag_feature))
        earlier = [dealt[before] for before in cli.days(settings.training.start, day - ONE_DAY)]
        for name, found in relevance.of_counts(earlier, dealt[day], tags).items():
            by_name.setdefault(name, []).append(found)
    return {name: _pooled(of_days) for name, of_days in by_name.items()}


def _notes(baselines: Mapping[str, MetricValues]) -> list[str]:
    def shown(metrics: MetricValues) -> str:
        return ", ".join(f"{name} {'undefined' if v is None else f'{v:.4f}'}" for name, v in metrics.items())

    return [
        "ndcg_at_k, hit_rate_at_k: each user's best k of all tags by the model of the day before, against the tags that"
        " the user clicked (interest), or clicked and converted (intention), that day; users without any do not count.",
        *(f"Baseline {name}: {shown(metrics)}." for name, metrics in baselines.items()),
    ]


if __name__ == "__main__":
    cli.run(main)
