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
from typing import Any, cast

from conf import cli
from conf.load import load_settings
from conf.paths import Paths
from conf.settings.model_file import TaggerModel
from conf.settings.run_file import Settings
from tagging.evaluation import relevance
from tagging.evaluation.relevance import Dealt, Quality
from tagging.scoring.export import export
from trainer.comparison import log as comparison_log
from trainer.comparison import report as comparison_report
from trainer.comparison import run as comparison_run
from trainer.comparison.run import predictions_of, with_seed
from trainer.comparison.statistics import Asked, Compared, RunValues, activity_groups, compared, values_of
from trainer.daily.open import open_tagger
from trainer.data import vocabulary
from trainer.evaluation.metrics import Metrics
from trainer.objectives.build import objective_of

ONE_DAY = timedelta(days=1)


def parser() -> argparse.ArgumentParser:
    parsed = cli.parser("Train several taggers over the same days and seeds, and compare them.")
    comparison_run.add_arguments(parsed, base="two_tower", name="taggers")
    return parsed


def main() -> None:
    arguments = parser().parse_args()
    settings, days = load_settings(arguments.config), cli.chosen_days(arguments)
    models = list(dict.fromkeys([arguments.base, *arguments.models]))
    asked = Asked("tagger", models, arguments.base, arguments.seeds, days[0], days[-1])
    declared = cast(Mapping[str, TaggerModel], comparison_run.models_of(settings, asked))
    if comparison_run.is_there(settings, arguments.name, asked, arguments.force):
        return
    comparison_run.train_all(settings, declared, asked)
    found, baselines, rows = evaluate_all(settings, declared, asked)
    text = comparison_report.markdown(asked, found, rows, _notes(baselines))
    content = comparison_report.content(asked, found, rows) | {"baselines": baselines}
    comparison_log.log(settings, arguments.name, asked, declared, found, text)
    comparison_run.publish_table(settings, arguments.name, asked, text, content)


def evaluate_all(
    settings: Settings, models: Mapping[str, TaggerModel], asked: Asked
) -> tuple[dict[str, Compared], dict[str, Metrics], int]:
    """Each model's line of the table, the baselines' metrics, and how many impressions all this is of."""
    days = cli.days(asked.first, asked.last)
    tasks = {task.name: task for model in models.values() for task in objective_of(model, settings).heads}
    dealt = {
        day: relevance.dealt_with(settings, day, list(tasks.values()))
        for day in cli.days(settings.training.start, asked.last)
    }
    paths = Paths(settings.lake.root)
    of_base = predictions_of(paths, asked, asked.base, 0)
    activity = activity_groups(of_base, models[asked.base].tasks[0])
    values: dict[str, list[RunValues]] = {}
    for name, model in models.items():
        values[name] = []
        for seed in range(asked.seeds):
            predictions = predictions_of(paths, asked, name, seed)
            of_days = {day: _of_day(with_seed(settings, seed), name, day, dealt[day], model.tasks) for day in days}
            more = _pooled(of_days.values()), {str(day): _pooled([of_day]) for day, of_day in of_days.items()}
            values[name].append(values_of(predictions, activity, asked.section, *more))
        print(f"comparison: {name} evaluated", flush=True)
    found = {name: compared(values[name], values[asked.base], asked.section) for name in models}
    return found, _baselines(settings, days, dealt), int((of_base["task"] == models[asked.base].tasks[0]).sum())


def _of_day(
    settings: Settings, name: str, day: date, dealt: Mapping[str, Dealt], tasks: Sequence[str]
) -> dict[str, Quality]:
    """Quality on a day of the model of the day before, for the tags known then."""
    run = open_tagger(settings, name)
    tags = list(vocabulary.values(run.paths, day - ONE_DAY, settings.tagger.tag_feature))
    exported = export(run.load_model(day - ONE_DAY).cpu(), tags)
    return relevance.of_tagger(exported, {task: dealt[task] for task in tasks})


def _pooled(of_days: Any) -> Metrics:
    sums: dict[str, Quality] = {}
    for of_day in of_days:
        for task, found in of_day.items():
            sums[task] = sums.get(task, relevance.NONE) + found
    return {name: value for task, found in sums.items() for name, value in found.metrics(task).items()}


def _baselines(
    settings: Settings, days: Sequence[date], dealt: Mapping[date, Mapping[str, Dealt]]
) -> dict[str, Metrics]:
    paths, by_name = Paths(settings.lake.root), dict[str, list[dict[str, Quality]]]()
    for day in days:
        tags = list(vocabulary.values(paths, day - ONE_DAY, settings.tagger.tag_feature))
        earlier = [dealt[before] for before in cli.days(settings.training.start, day - ONE_DAY)]
        for name, found in relevance.of_counts(earlier, dealt[day], tags).items():
            by_name.setdefault(name, []).append(found)
    return {name: _pooled(of_days) for name, of_days in by_name.items()}


def _notes(baselines: Mapping[str, Metrics]) -> list[str]:
    def shown(metrics: Metrics) -> str:
        return ", ".join(f"{name} {'undefined' if v is None else f'{v:.4f}'}" for name, v in metrics.items())

    return [
        "ndcg_at_k, hit_rate_at_k: each user's best k of all tags by the model of the day before, against the tags that"
        " the user clicked (interest), or clicked and converted (intention), that day; users without any do not count.",
        *(f"Baseline {name}: {shown(metrics)}." for name, metrics in baselines.items()),
    ]


if __name__ == "__main__":
    cli.run(main)
