"""The command line of a comparison, and the checks that refuse it before any work."""

import argparse
from collections.abc import Mapping
from datetime import timedelta

from pydantic import TypeAdapter, ValidationError

from conf import cli
from conf.errors import InputError
from conf.load import model_for
from conf.settings.base import RunName
from conf.settings.model_file import Model, needs_masks
from conf.settings.run_file import Settings
from trainer.comparison.rankscore import Rankscore
from trainer.comparison.request import Family, Request


def add_arguments(parser: argparse.ArgumentParser, base: str, name: str) -> None:
    cli.add_days(parser)
    parser.add_argument("--models", nargs="+", required=True, help="model files in conf/models, without .toml")
    parser.add_argument("--base", default=base, help="the model that the others are compared with; always included")
    parser.add_argument("--seeds", type=_seeds, default=5, help="repetitions: seeds 0 to N - 1")
    parser.add_argument("--name", type=_name, default=name, help="name of the folder: comparisons/<name>")


def request_of(arguments: argparse.Namespace, family: Family, rankscore: Rankscore | None = None) -> Request:
    days = cli.chosen_days(arguments)
    return Request(
        name=arguments.name,
        family=family,
        models=list(dict.fromkeys([arguments.base, *arguments.models])),
        base=arguments.base,
        seeds=arguments.seeds,
        first=days[0],
        last=days[-1],
        rankscore=rankscore,
    )


def declared_models(settings: Settings, request: Request) -> dict[str, Model]:
    """The models by name; raises InputError for another family, and for days that a comparison cannot be about."""
    models = {name: model_for(settings, name) for name in request.models}
    for name, model in models.items():
        if model.family != request.family:
            raise InputError(
                f"model '{name}' is a {model.family}", where="--models", hint=f"name {request.family}s only"
            )
    _check_days(settings, request, models)
    return models


def _check_days(settings: Settings, request: Request, models: Mapping[str, Model]) -> None:
    """The first day has no predictions, and days that chose the masks are not out of sample."""
    start = settings.training.start
    validation = start + timedelta(days=settings.masks.train_days)
    if request.first <= start:
        raise InputError(f"nothing predicts {request.first}", where="--from", hint=f"choose a day after {start}")
    masked = [name for name, model in models.items() if needs_masks(model)]
    if masked and request.first <= validation:
        raise InputError(
            f"the masks of {masked[0]} are chosen on days up to {validation}",
            where="--from",
            hint=f"choose a day after {validation}",
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
