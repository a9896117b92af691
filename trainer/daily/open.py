"""From the run file (or --model) to the run of a model: the one place that knows which model is made of what."""

import argparse
from typing import Literal

from conf.errors import InputError
from conf.load import model_for
from conf.paths import Paths, run_name
from conf.settings.model_file import Model, TaggerModel, needs_masks
from conf.settings.run_file import Settings
from etl.artefact import is_published, read_manifest
from trainer.daily import plots
from trainer.daily.gbdt import open_gbdt
from trainer.daily.network import NetworkRun, open_network
from trainer.daily.run import DailyRun
from trainer.data.layout import Layout
from trainer.models import build
from trainer.models.base import Predictor
from trainer.models.tagger import Tagger
from trainer.pruning import store

TaggerRun = NetworkRun[TaggerModel, Tagger]


def open_run(
    settings: Settings, family: Literal["ranker", "tagger"], model_name: str | None = None
) -> DailyRun[Predictor]:
    """The run of the run file's model or of another one; raises InputError when its masks are missing or do not fit."""
    return open_tagger(settings, model_name) if family == "tagger" else open_ranker(settings, model_name)


def open_ranker(settings: Settings, model_name: str | None = None) -> DailyRun[Predictor]:
    """As open_run."""
    declared = model_name or settings.ranker.model
    model = model_for(settings, declared)
    if model.family == "tagger":
        raise _another_family(declared, model)
    name = run_name(declared, settings.training.seed)
    settings = in_stored_order(settings, name, model)
    if model.kind == "gbdt":
        return open_gbdt(settings, name, model)
    return open_network(settings, name, model, build.ranker, plots.of_ranker)


def open_tagger(settings: Settings, model_name: str | None = None) -> TaggerRun:
    """As open_run."""
    declared = model_name or settings.tagger.model
    model = model_for(settings, declared)
    if model.family == "ranker":
        raise _another_family(declared, model)
    name = run_name(declared, settings.training.seed)
    return open_network(in_stored_order(settings, name, model), name, model, build.tagger, plots.of_tagger)


def in_stored_order(settings: Settings, name: str, model: Model) -> Settings:
    """The settings with [[features]] in the order of the run's masks, or of its first model when it has none.

    Columns of weights and masks follow that order, so the order in the run file must not matter afterwards. Masks come
    first: masks that are generated again bring their own order, and need a new first model.
    """
    first = Paths(settings.lake.root).model(model.family, name, settings.training.start)
    masks = [store.folder(settings, model)] if needs_masks(model) else []
    for target in (*masks, first):
        if is_published(target):
            order = read_manifest(target, hint="remove the folder and run the job again")["feature_order"]
            return settings.model_copy(update={"features": list(Layout.of(settings.features).in_order(order).features)})
    return settings


def add_model_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", help="model file in conf/models, without .toml; by default the run file's")


def _another_family(name: str, model: Model) -> InputError:
    wanted = "tagger" if model.family == "ranker" else "ranker"
    return InputError(
        f"model '{name}' is a {model.family}, not a {wanted}", where="--model", hint="choose another model"
    )
