"""JOB: several ranking models over the same days and seeds, and the table that holds them against a base.

    python -m trainer.compare_models --config conf/kuairand.toml --models hard sparse_weight esm2 --seeds 5 \\
        --from 2022-05-01 --to 2022-05-06

For each seed and model: the masks when it needs some, then daily training up to the last day, exactly as generate_masks
and train_day do it; what is published already is left alone, so a killed comparison goes on where it stopped. Then the
predictions that each model made of the days asked for, before it trained on them, are evaluated, logged to MLflow
and published as comparisons/<name>. --force makes the table again; models are made again by their own jobs.
"""

import argparse
from collections.abc import Mapping
from typing import cast

import pandas as pd

from conf import cli
from conf.errors import InputError
from conf.load import load_settings
from conf.paths import Paths
from conf.settings.model_file import RankingModel
from conf.settings.run_file import Settings
from trainer.comparison import log as comparison_log
from trainer.comparison import report as comparison_report
from trainer.comparison import run as comparison_run
from trainer.comparison.outcomes import read_outcomes
from trainer.comparison.rankscore import Rankscore
from trainer.comparison.run import predictions_of
from trainer.comparison.statistics import (
    KEYS,
    Asked,
    Compared,
    RunValues,
    activity_groups,
    compared,
    mean_of_earlier,
    rank_values,
    values_of,
)


def main() -> None:
    asked, settings, name, force = _arguments()
    compare(settings, asked, name, force=force)


def compare(settings: Settings, asked: Asked, name: str, *, force: bool = False) -> None:
    """Trains what is not there, evaluates, logs and publishes the table; raises InputError before any work."""
    models = cast(Mapping[str, RankingModel], comparison_run.models_of(settings, asked))
    if comparison_run.is_there(settings, name, asked, force):
        return
    comparison_run.train_all(settings, models, asked)
    found, mean_mse, rows = evaluate_all(settings, models, asked)
    text = comparison_report.markdown(asked, found, rows, comparison_report.notes_on_rankers(asked, mean_mse))
    content = comparison_report.content(asked, found, rows) | {"predicting_the_mean": {"cvr_mse": mean_mse}}
    comparison_log.log(settings, name, asked, models, found, text)
    comparison_run.publish_table(settings, name, asked, text, content)


def evaluate_all(
    settings: Settings, models: Mapping[str, RankingModel], asked: Asked
) -> tuple[dict[str, Compared], float | None, int]:
    """Each model's line of the table, the MSE of predicting the mean, and how many impressions all this is of."""
    paths = Paths(settings.lake.root)
    assert asked.rankscore
    truth = read_outcomes(paths, cli.days(asked.first, asked.last), asked.rankscore.length)
    of_base = predictions_of(paths, asked, asked.base, 0)
    activity = activity_groups(of_base, "ctr")
    values: dict[str, list[RunValues]] = {}
    base_ctr = [_ctr(predictions_of(paths, asked, asked.base, seed)) for seed in range(asked.seeds)]
    for name in models:
        values[name] = []
        for seed in range(asked.seeds):
            predictions = predictions_of(paths, asked, name, seed)
            more = rank_values(predictions, base_ctr[seed], truth, asked.rankscore)
            values[name].append(values_of(predictions, activity, asked.section, *more))
        print(f"comparison: {name} evaluated", flush=True)
    learns = models[asked.base].conversion
    found = {
        name: compared(values[name], values[asked.base], asked.section, other_label=model.conversion != learns)
        for name, model in models.items()
    }
    before = [day for day in cli.days(settings.training.start, asked.first) if day < asked.first]
    label = {"share": "conversion", "yes_no": "converted"}[learns]
    earlier = read_outcomes(paths, before)
    mean_mse = mean_of_earlier(earlier[earlier["clicked"]], truth[truth["clicked"]], label)
    return found, mean_mse, int((of_base["task"] == "ctr").sum())


def _ctr(predictions: pd.DataFrame) -> pd.DataFrame:
    of_ctr = predictions[predictions["task"] == "ctr"]
    return of_ctr[[*KEYS, "prediction"]].rename(columns={"prediction": "base_ctr"})


def parser() -> argparse.ArgumentParser:
    parsed = cli.parser("Train several models over the same days and seeds, and compare them.")
    comparison_run.add_arguments(parsed, base="single", name="models")
    parsed.add_argument(
        "--rankscore",
        nargs=3,
        type=float,
        default=(1.0, 1.0, 0.0),
        metavar=("A", "B", "C"),
        help="powers of LT4REC eq. 3",
    )
    parsed.add_argument("--length", help="numeric feature that holds the length: for C, and for watch time")
    return parsed


def _arguments() -> tuple[Asked, Settings, str, bool]:
    arguments = parser().parse_args()
    settings = load_settings(arguments.config)
    days = cli.chosen_days(arguments)
    a, b, c = arguments.rankscore
    score = Rankscore(a, b, c, arguments.length)
    if score.c and not score.length:
        raise InputError("C is not 0, but nothing says the length", where="--rankscore", hint="give --length too")
    models = list(dict.fromkeys([arguments.base, *arguments.models]))
    asked = Asked("ranker", models, arguments.base, arguments.seeds, days[0], days[-1], score)
    return asked, settings, arguments.name, arguments.force


if __name__ == "__main__":
    cli.run(main)
