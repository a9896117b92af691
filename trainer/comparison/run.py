"""What a comparison of models does whatever they are of: its arguments, training all of them, publishing the table."""

import argparse
import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import TypeAdapter, ValidationError

from conf import cli
from conf.errors import InputError
from conf.load import model_for
from conf.paths import Paths, run_name
from conf.settings.base import RunName
from conf.settings.model_file import Model, needs_masks
from conf.settings.run_file import Settings
from etl.artefact import file_hash, identity, is_published, publish, read_manifest, write_manifest
from trainer.comparison.report import asked_for
from trainer.comparison.statistics import Asked
from trainer.daily.open import open_run
from trainer.daily.train import train_missing
from trainer.evaluation.predictions import read_predictions
from trainer.pruning import store as mask_store
from trainer.pruning.generation import generate

TABLE, DATA = "comparison.md", "comparison.json"


def add_arguments(parser: argparse.ArgumentParser, base: str, name: str) -> None:
    cli.add_days(parser)
    parser.add_argument("--models", nargs="+", required=True, help="model files in conf/models, without .toml")
    parser.add_argument("--base", default=base, help="the model the others are held against; added when not named")
    parser.add_argument("--seeds", type=_seeds, default=5, help="repetitions: seeds 0 to N - 1")
    parser.add_argument("--name", type=_name, default=name, help="comparisons/<name>")


def models_of(settings: Settings, asked: Asked) -> dict[str, Model]:
    """The models asked for; raises InputError when one is of another section than the comparison."""
    models = {name: model_for(settings, name) for name in asked.models}
    for name, model in models.items():
        if model.family != asked.section:
            raise InputError(
                f"model '{name}' is a {model.family}", where="--models", hint=f"name {asked.section}s only"
            )
    _check_days(settings, models, asked)
    return models


def _check_days(settings: Settings, models: Mapping[str, Model], asked: Asked) -> None:
    """Nothing may be chosen on the days that are reported."""
    start = settings.training.start
    validation = start + timedelta(days=settings.masks.train_days)
    if asked.first <= start:
        raise InputError(f"nothing predicts {asked.first}", where="--from", hint=f"choose a day after {start}")
    masked = [name for name, model in models.items() if needs_masks(model)]
    if masked and asked.first <= validation:
        raise InputError(
            f"the masks of {masked[0]} are chosen on days up to {validation}",
            where="--from",
            hint=f"choose a day after {validation}",
        )


def is_there(settings: Settings, name: str, asked: Asked, force: bool) -> bool:
    """Whether the comparison is published already; raises InputError when another one has its name."""
    target = Paths(settings.lake.root).comparison(name)
    if force or not is_published(target):
        return False
    if read_manifest(target, hint="")["asked"] != asked_for(asked):
        raise InputError(
            "a comparison of other models, seeds or days has this name",
            where=target,
            hint="give another --name, or --force to replace it",
        )
    print(f"comparison {name}: present in {target}, nothing to do", flush=True)
    return True


def train_all(settings: Settings, models: Mapping[str, Model], asked: Asked) -> None:
    """Masks and daily models that are not there yet, seed by seed, so that every model has its first seeds early."""
    work = [(seed, name) for seed in range(asked.seeds) for name in models]
    for done, (seed, name) in enumerate(work):
        print(f"comparison: {name}, seed {seed}: {len(work) - done} of {len(work)} left", flush=True)
        seeded = with_seed(settings, seed)
        model = models[name]
        if needs_masks(model) and not is_published(mask_store.folder(seeded, model)):
            generate(seeded, model, name)
        train_missing(open_run(seeded, asked.section, name), asked.last)


def with_seed(settings: Settings, seed: int) -> Settings:
    training = settings.training.model_copy(update={"seed": seed})
    return settings.model_copy(update={"training": training})


def predictions_of(paths: Paths, asked: Asked, name: str, seed: int) -> pd.DataFrame:
    """contract.PREDICTIONS of a model and seed on the days asked for, and `day`."""
    frames = []
    for day in cli.days(asked.first, asked.last):
        folder = paths.predictions(asked.section, run_name(name, seed), day)
        hint = f"train it again: python -m trainer.train_day --family {asked.section} --day {day} --force"
        read_manifest(folder, hint=hint)
        frames.append(read_predictions(folder).assign(day=str(day)))
    return pd.concat(frames, ignore_index=True)


def publish_table(settings: Settings, name: str, asked: Asked, text: str, content: Mapping[str, Any]) -> None:
    paths = Paths(settings.lake.root)
    days: Sequence[date] = cli.days(asked.first, asked.last)
    made_from = {
        run: {str(day): identity(paths.predictions(asked.section, run, day)) for day in days}
        for model in asked.models
        for run in (run_name(model, seed) for seed in range(asked.seeds))
    }

    def write(staging: Path) -> None:
        (staging / TABLE).write_text(text)
        (staging / DATA).write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
        files = {file: file_hash(staging / file) for file in (TABLE, DATA)}
        write_manifest(staging, {"asked": content["asked"], "predictions": made_from, "files": files})

    target = paths.comparison(name)
    publish(paths, target, write)
    print(f"comparison {name}: {len(asked.models)} models, {asked.seeds} seeds, published in {target}", flush=True)


def _seeds(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 20):
        raise argparse.ArgumentTypeError(f"'{text}': give a number from 1 to 20")
    return int(text)


def _name(text: str) -> str:
    try:
        return TypeAdapter(RunName).validate_python(text)
    except ValidationError:
        raise argparse.ArgumentTypeError(f"'{text}': letters, digits, '_', '.' and '-' only") from None
