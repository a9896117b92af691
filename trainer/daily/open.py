"""From the run file (or --model) to the run of a model: the one place that knows which family is made of what."""

import argparse
from typing import Literal

from conf.errors import InputError
from conf.load import model_for
from conf.paths import run_name
from conf.settings.run_file import Settings
from trainer.daily.gbdt import open_gbdt
from trainer.daily.network import open_network
from trainer.daily.run import DailyRun


def open_run(settings: Settings, family: Literal["ranker", "tagger"], model_name: str | None = None) -> DailyRun:
    """The run that the run file (or --model) asks for; raises InputError when its masks are not there or do not fit."""
    declared = model_name or (settings.ranker.model if family == "ranker" else settings.tagger.model)
    model = model_for(settings, declared)
    if model.section != family:
        raise InputError(
            f"model '{declared}' is a {model.section}, not a {family}", where="--model", hint="choose another model"
        )
    name = run_name(declared, settings.training.seed)
    if model.family == "gbdt":
        return open_gbdt(settings, name, model)
    return open_network(settings, name, model)


def add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", help="model file in conf/models, without .toml; the run file's by default")
