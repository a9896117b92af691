"""JOB: trains several taggers over the same days and seeds and compares them with a base.

    sparsetag compare_taggers --config conf/kuairand.toml --models mvke two_tower_mmoe --seeds 5 \\
        --from 2022-05-05 --to 2022-05-06

Like trainer.compare_models it leaves alone what is published already. AUC and GAUC are of the next-day predictions. Hit
rate and nDCG are of each user's best tags by the model of the day before, against the tags that the user engaged with
that day (tagging/evaluation). Baselines that need no model (tagging/evaluation/baselines.py) are reported beside them.
"""

import argparse
from collections.abc import Mapping, Sequence
from datetime import date

from conf import cli, log
from conf.paths import Paths
from conf.settings.model_file import TaggerModel
from conf.settings.run_file import Settings
from etl.contract import columns_of
from tagging.evaluation.baselines import baseline_quality
from tagging.evaluation.engagement import Engagement, read_engagement
from tagging.evaluation.ranking import RankingQuality, pooled_metrics, tagger_quality
from tagging.scoring.export import export
from trainer.comparison import publication, report, tracking
from trainer.comparison.arguments import add_arguments, declared_models, request_of
from trainer.comparison.differences import ModelComparison, compare_with_base
from trainer.comparison.intervals import Resamples
from trainer.comparison.predictions import predictions_of
from trainer.comparison.request import Request
from trainer.comparison.run_metrics import RunMetrics, activity_groups, run_metrics
from trainer.comparison.traffic import read_traffic
from trainer.comparison.training import train_all, with_seed
from trainer.daily.open import open_tagger
from trainer.daily.run import ONE_DAY
from trainer.data import vocabulary
from trainer.evaluation.metrics import MetricValues
from trainer.objectives.build import objective_of


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
    comparisons, baselines = evaluate_all(settings, models, request)
    traffic = read_traffic(Paths(settings.lake.root), request.days)
    table = report.markdown(request, comparisons, traffic, _table_notes(baselines))
    content = publication.as_json(request, comparisons, traffic)
    content["baselines"] = {
        name: {str(metric): value for metric, value in values.items()} for name, values in baselines.items()
    }
    tracking.log(settings, request, models, comparisons, traffic, table)
    publication.publish_comparison(settings, request, table, content)


def evaluate_all(
    settings: Settings, models: Mapping[str, TaggerModel], request: Request
) -> tuple[dict[str, ModelComparison], dict[str, MetricValues]]:
    """Each model's line of the table, and the metrics of each baseline."""
    paths, days = Paths(settings.lake.root), request.days
    tasks = {task.name: task for model in models.values() for task in objective_of(model, settings).heads}
    all_days = cli.days(settings.training.start, request.last)
    engagement = {day: read_engagement(settings, day, list(tasks.values())) for day in all_days}
    of_base = predictions_of(paths, request, request.base, 0)
    users = of_base.loc[of_base["task"] == models[request.base].tasks[0], "user_id"]
    activity, resamples = activity_groups(users), Resamples.of(users)
    values: dict[str, list[RunMetrics]] = {}
    for name, model in models.items():
        values[name] = []
        for seed in range(request.seeds):
            seeded = with_seed(settings, seed)
            by_day = {day: _quality(seeded, name, day, engagement[day], model.tasks) for day in days}
            daily = {str(day): pooled_metrics([quality]) for day, quality in by_day.items()}
            metrics = run_metrics(predictions_of(paths, request, name, seed), activity, resamples, request.family)
            values[name].append(metrics.extended(pooled_metrics(by_day.values()), daily))
        log.event("model evaluated", model=name, seeds=request.seeds)
    found = {name: compare_with_base(values[name], values[request.base], request.family) for name in models}
    return found, _baseline_metrics(settings, days, engagement)


def _quality(
    settings: Settings, model: str, day: date, engagement: Mapping[str, Engagement], tasks: Sequence[str]
) -> dict[str, RankingQuality]:
    """Quality on a day of the model of the day before, among the tags known then."""
    run = open_tagger(settings, model)
    tags = list(vocabulary.values(run.paths, day - ONE_DAY, settings.tagger.tag_feature))
    exported = export(run.load_model(day - ONE_DAY).cpu(), tags)
    columns = columns_of(run.layout.of_table("users"))
    return tagger_quality(exported, {task: engagement[task] for task in tasks}, columns)


def _baseline_metrics(
    settings: Settings, days: Sequence[date], engagement: Mapping[date, Mapping[str, Engagement]]
) -> dict[str, MetricValues]:
    paths, by_baseline = Paths(settings.lake.root), dict[str, list[dict[str, RankingQuality]]]()
    for day in days:
        tags = list(vocabulary.values(paths, day - ONE_DAY, settings.tagger.tag_feature))
        earlier = [engagement[before] for before in cli.days(settings.training.start, day - ONE_DAY)]
        for name, quality in baseline_quality(earlier, engagement[day], tags).items():
            by_baseline.setdefault(name, []).append(quality)
    return {name: pooled_metrics(by_day) for name, by_day in by_baseline.items()}


def _table_notes(baselines: Mapping[str, MetricValues]) -> list[str]:
    def text(metrics: MetricValues) -> str:
        return ", ".join(f"{name} {'undefined' if v is None else f'{v:.4f}'}" for name, v in metrics.items())

    return [
        "ndcg_at_k, hit_rate_at_k: each user's k best tags by the model of the day before, against the tags of items"
        " that the user clicked (interest), or clicked and converted on (intention), that day; users without any do not"
        " count.",
        *(f"Baseline {name}: {text(metrics)}." for name, metrics in baselines.items()),
    ]


if __name__ == "__main__":
    cli.run(main)
