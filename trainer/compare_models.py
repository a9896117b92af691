"""JOB: several ranking models over the same days and seeds, and the table that holds them against a base.

    python -m trainer.compare_models --config conf/kuairand.toml --models hard sparse_weight esm2 --seeds 5 \\
        --from 2022-05-01 --to 2022-05-06

For each seed and model: the masks when it needs some, then daily training up to the last day, exactly as generate_masks
and train_day do it; what is published already is left alone, so a killed comparison goes on where it stopped. Then the
predictions that each model made of the days asked for, before it trained on them, are evaluated, logged to MLflow
and published as comparisons/<name>. --force makes the table again; models are made again by their own jobs.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from conf import cli
from conf.load import load_settings, model_for
from conf.models import RankingModel, needs_masks
from conf.paths import Paths, run_name
from conf.refusal import Refusal
from conf.settings import RunName, Settings
from etl.publish import file_hash, identity, is_published, publish, read_manifest, write_manifest
from trainer import comparison_log, comparison_report, mask_store
from trainer.comparison import KEYS, Asked, Compared, RunValues, activity_groups, compared, mean_of_earlier, values_of
from trainer.daily_run import open_run
from trainer.mask_generation import generate
from trainer.predict import read_predictions
from trainer.rankscore import Rankscore
from trainer.train_day import train_missing
from trainer.truth import read_truth

TABLE, DATA = "comparison.md", "comparison.json"


def main() -> None:
    asked, settings, name, force = _arguments()
    paths = Paths(settings.lake.root)
    models = {model: _ranker(settings, model) for model in asked.models}
    days = cli.days(asked.first, asked.last)
    _check_days(settings, models, asked)
    target = paths.comparison(name)
    if is_published(target) and not force:
        if read_manifest(target, remedy="")["asked"] != comparison_report.asked_for(asked):
            raise Refusal(
                "a comparison of other models, seeds or days has this name",
                where=target,
                remedy="give another --name, or --force to replace it",
            )
        print(f"comparison {name}: present in {target}, nothing to do", flush=True)
        return
    train_all(settings, models, asked)
    found, mean_mse, rows = evaluate_all(settings, models, asked)
    text = comparison_report.markdown(asked, found, mean_mse, rows)
    content = comparison_report.content(asked, found, mean_mse, rows)
    made_from = {
        run: {str(day): identity(paths.predictions("ranker", run, day)) for day in days}
        for model in models
        for run in (run_name(model, seed) for seed in range(asked.seeds))
    }

    def write(staging: Path) -> None:
        (staging / TABLE).write_text(text)
        (staging / DATA).write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
        files = {file: file_hash(staging / file) for file in (TABLE, DATA)}
        write_manifest(staging, {"asked": content["asked"], "predictions": made_from, "files": files})

    comparison_log.log(settings, name, asked, models, found, text)
    publish(paths, target, write)
    print(f"comparison {name}: {len(models)} models, {asked.seeds} seeds, published in {target}", flush=True)


def train_all(settings: Settings, models: Mapping[str, RankingModel], asked: Asked) -> None:
    """Masks and daily models that are not there yet, seed by seed, so that every model has its first seeds early."""
    work = [(seed, name) for seed in range(asked.seeds) for name in models]
    for done, (seed, name) in enumerate(work):
        print(f"comparison: {name}, seed {seed}: {len(work) - done} of {len(work)} left", flush=True)
        seeded = with_seed(settings, seed)
        model = models[name]
        if needs_masks(model) and not is_published(mask_store.folder(seeded, model)):
            generate(seeded, model, name)
        train_missing(open_run(seeded, "ranker", name), asked.last)


def evaluate_all(
    settings: Settings, models: Mapping[str, RankingModel], asked: Asked
) -> tuple[dict[str, Compared], float | None, int]:
    """Each model's line of the table, the MSE of predicting the mean, and how many impressions all this is of."""
    paths = Paths(settings.lake.root)
    days = cli.days(asked.first, asked.last)
    truth = read_truth(paths, days, asked.rankscore.length)
    of_base = _predictions(paths, asked.base, days)
    activity = activity_groups(of_base)
    values: dict[str, list[RunValues]] = {}
    base_ctr = [_ctr(_predictions(paths, run_name(asked.base, seed), days)) for seed in range(asked.seeds)]
    for name in models:
        values[name] = [
            values_of(_predictions(paths, run_name(name, seed), days), base_ctr[seed], truth, activity, asked.rankscore)
            for seed in range(asked.seeds)
        ]
        print(f"comparison: {name} evaluated", flush=True)
    learns = models[asked.base].conversion
    found = {
        name: compared(values[name], values[asked.base], other_label=model.conversion != learns)
        for name, model in models.items()
    }
    before = [day for day in cli.days(settings.training.start, asked.first) if day < asked.first]
    label = {"share": "conversion", "yes_no": "converted"}[learns]
    earlier = read_truth(paths, before)
    mean_mse = mean_of_earlier(earlier[earlier["clicked"]], truth[truth["clicked"]], label)
    return found, mean_mse, int((of_base["task"] == "ctr").sum())


def with_seed(settings: Settings, seed: int) -> Settings:
    training = settings.training.model_copy(update={"seed": seed})
    return settings.model_copy(update={"training": training})


def _predictions(paths: Paths, run: str, days: Sequence[date]) -> pd.DataFrame:
    frames = []
    for day in days:
        folder = paths.predictions("ranker", run, day)
        read_manifest(folder, remedy=f"train it again: python -m trainer.train_day --family ranker --day {day} --force")
        frames.append(read_predictions(folder).assign(day=str(day)))
    return pd.concat(frames, ignore_index=True)


def _ctr(predictions: pd.DataFrame) -> pd.DataFrame:
    of_ctr = predictions[predictions["task"] == "ctr"]
    return of_ctr[[*KEYS, "prediction"]].rename(columns={"prediction": "base_ctr"})


def _ranker(settings: Settings, name: str) -> RankingModel:
    model = model_for(settings, name)
    if model.family == "tagger":
        raise Refusal(f"model '{name}' is a {model.family}", where="--models", remedy="name rankers only")
    return model


def _check_days(settings: Settings, models: Mapping[str, RankingModel], asked: Asked) -> None:
    """Nothing may be chosen on the days that are reported."""
    start = settings.training.start
    validation = start + timedelta(days=settings.masks.train_days)
    if asked.first <= start:
        raise Refusal(f"nothing predicts {asked.first}", where="--from", remedy=f"choose a day after {start}")
    masked = [name for name, model in models.items() if needs_masks(model)]
    if masked and asked.first <= validation:
        raise Refusal(
            f"the masks of {masked[0]} are chosen on days up to {validation}",
            where="--from",
            remedy=f"choose a day after {validation}",
        )


def _arguments() -> tuple[Asked, Settings, str, bool]:
    parser = cli.parser("Train several models over the same days and seeds, and compare them.")
    cli.add_days(parser)
    parser.add_argument("--models", nargs="+", required=True, help="model files in conf/models, without .toml")
    parser.add_argument("--base", default="single", help="the model the others are held against; added when not named")
    parser.add_argument("--seeds", type=_seeds, default=5, help="repetitions: seeds 0 to N - 1")
    parser.add_argument("--name", type=_name, default="models", help="comparisons/<name>")
    parser.add_argument(
        "--rankscore",
        nargs=3,
        type=float,
        default=(1.0, 1.0, 0.0),
        metavar=("A", "B", "C"),
        help="powers of LT4REC eq. 3",
    )
    parser.add_argument("--length", help="numeric feature that holds the length: for C, and for watch time")
    arguments = parser.parse_args()
    settings = load_settings(arguments.config)
    days = cli.chosen_days(arguments)
    a, b, c = arguments.rankscore
    score = Rankscore(a, b, c, arguments.length)
    if score.c and not score.length:
        raise Refusal("C is not 0, but nothing says the length", where="--rankscore", remedy="give --length too")
    models = list(dict.fromkeys([arguments.base, *arguments.models]))
    return (
        Asked(models, arguments.base, arguments.seeds, days[0], days[-1], score),
        settings,
        arguments.name,
        arguments.force,
    )


def _seeds(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 20):
        raise argparse.ArgumentTypeError(f"'{text}': give a number from 1 to 20")
    return int(text)


def _name(text: str) -> str:
    try:
        return TypeAdapter(RunName).validate_python(text)
    except ValidationError:
        raise argparse.ArgumentTypeError(f"'{text}': letters, digits, '_', '.' and '-' only") from None


if __name__ == "__main__":
    cli.run(main)
