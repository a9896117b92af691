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
from typing import cast

from conf import cli, log
from conf.paths import Paths
from conf.settings.model_file import TaggerModel
from conf.settings.run_file import Settings
from etl.contract import columns_of
from tagging.evaluation.baselines import baseline_quality
from tagging.evaluation.engagement import Engagement, read_engagement
from tagging.evaluation.ranking import RankingQuality, pooled_metrics, tagger_quality
from tagging.scoring.export import export
from trainer.comparison import log as comparison_log
from trainer.comparison import report as comparison_report
from trainer.comparison import run as comparison_run
from trainer.comparison.run import predictions_of, with_seed
from trainer.comparison.statistics import Asked, Compared, RunValues, activity_groups, compared, values_of
from trainer.daily.open import open_tagger
from trainer.daily.run import ONE_DAY
from trainer.data import vocabulary
from trainer.evaluation.metrics import Metrics
from trainer.objectives.build import objective_of


def parser() -> argparse.ArgumentParser:
    parsed = cli.parser("Train several taggers over the same days and seeds, and compare them.")
    comparison_run.add_arguments(parsed, base="two_tower", name="taggers")
    return parsed


def main() -> None:
    arguments = parser().parse_args()
    settings, days = cli.load(arguments), cli.chosen_days(arguments)
    models = list(dict.fromkeys([arguments.base, *arguments.models]))
    asked = Asked("tagger", models, arguments.base, arguments.seeds, days[0], days[-1])
    declared = cast(Mapping[str, TaggerModel], comparison_run.models_of(settings, asked))
    if comparison_run.is_there(settings, arguments.name, asked, arguments.force):
        return
    comparison_run.train_all(settings, declared, asked)
    found, baselines, rows = evaluate_all(settings, declared, asked)
    text = comparison_report.markdown(asked, found, rows, _table_notes(baselines))
    content = comparison_report.content(asked, found, rows) | {"baselines": baselines}
    comparison_log.log(settings, arguments.name, asked, declared, found, text)
    comparison_run.publish_table(settings, arguments.name, asked, text, content)


def evaluate_all(
    settings: Settings, models: Mapping[str, TaggerModel], asked: Asked
) -> tuple[dict[str, Compared], dict[str, Metrics], int]:
    """Each model's line of the table, the metrics of each baseline, and the number of compared impressions."""
    paths, days = Paths(settings.lake.root), cli.days(asked.first, asked.last)
    tasks = {task.name: task for model in models.values() for task in objective_of(model, settings).heads}
    all_days = cli.days(settings.training.start, asked.last)
    engagement = {day: read_engagement(settings, day, list(tasks.values())) for day in all_days}
    of_base = predictions_of(paths, asked, asked.base, 0)
    activity = activity_groups(of_base, models[asked.base].tasks[0])
    values: dict[str, list[RunValues]] = {}
    for name, model in models.items():
        values[name] = []
        for seed in range(asked.seeds):
            seeded = with_seed(settings, seed)
            by_day = {day: _quality(seeded, name, day, engagement[day], model.tasks) for day in days}
            pooled = pooled_metrics(by_day.values())
            daily = {str(day): pooled_metrics([quality]) for day, quality in by_day.items()}
            predictions = predictions_of(paths, asked, name, seed)
            values[name].append(values_of(predictions, activity, asked.section, pooled, daily))
        log.event("model evaluated", model=name, seeds=asked.seeds)
    found = {name: compared(values[name], values[asked.base], asked.section) for name in models}
    rows = int((of_base["task"] == models[asked.base].tasks[0]).sum())
    return found, _baseline_metrics(settings, days, engagement), rows


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
) -> dict[str, Metrics]:
    paths, by_baseline = Paths(settings.lake.root), dict[str, list[dict[str, RankingQuality]]]()
    for day in days:
        tags = list(vocabulary.values(paths, day - ONE_DAY, settings.tagger.tag_feature))
        earlier = [engagement[before] for before in cli.days(settings.training.start, day - ONE_DAY)]
        for name, quality in baseline_quality(earlier, engagement[day], tags).items():
            by_baseline.setdefault(name, []).append(quality)
    return {name: pooled_metrics(by_day) for name, by_day in by_baseline.items()}


def _table_notes(baselines: Mapping[str, Metrics]) -> list[str]:
    def text(metrics: Metrics) -> str:
        return ", ".join(f"{name} {'undefined' if v is None else f'{v:.4f}'}" for name, v in metrics.items())

    return [
        "ndcg_at_k, hit_rate_at_k: each user's k best tags by the model of the day before, against the tags of items"
        " that the user clicked (interest), or clicked and converted on (intention), that day; users without any do not"
        " count.",
        *(f"Baseline {name}: {text(metrics)}." for name, metrics in baselines.items()),
    ]


if __name__ == "__main__":
    cli.run(main)
