"""From the run file (or --model) to the run of a model: the one place that knows which family is made of what."""

import argparse
from typing import Literal

from conf.load import model_for
from conf.paths import run_name
from conf.refusal import Refusal
from conf.settings import Settings
from trainer.family import DailyRun
from trainer.gbdt_run import open_gbdt
from trainer.network_run import open_network


def open_run(settings: Settings, family: Literal["ranker", "tagger"], model_name: str | None = None) -> DailyRun:
    """The run that the run file (or --model) asks for; raises Refusal when its masks are not there or do not fit."""
    declared = model_name or (settings.ranker.model if family == "ranker" else settings.tagger.model)
    model = model_for(settings, declared)
    if model.section != family:
        raise Refusal(
            f"model '{declared}' is a {model.section}, not a {family}", where="--model", remedy="choose another model"
        )
    name = run_name(declared, settings.training.seed)
    if model.family == "gbdt":
        return open_gbdt(settings, name, model)
    return open_network(settings, name, model)


def add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", help="model file in conf/models, without .toml; the run file's by default")
