"""One model on its way through the days: what it is, what it may depend on, how it is built and taken up again."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import torch

from conf.load import model_for
from conf.models import RankerModel, TaggerModel
from conf.paths import Paths, run_name
from conf.refusal import Refusal
from conf.settings import Settings
from trainer import checkpoint, mask_store
from trainer.device import device
from trainer.mask import Mask, identity
from trainer.model import build
from trainer.objective import Objective, objective_of
from trainer.task_model import TaskModel
from trainer.vocabulary import vocabulary_identity


@dataclass(frozen=True)
class DailyRun:
    settings: Settings
    name: str
    model: RankerModel | TaggerModel
    objective: Objective
    masks: Mapping[str, Mask] | None
    device: torch.device

    @property
    def family(self) -> str:
        return self.model.family

    @property
    def paths(self) -> Paths:
        return Paths(self.settings.lake.root)

    def build(self, sizes: Mapping[str, int]) -> TaskModel:
        return build(self.model, self.settings, sizes, self.masks).to(self.device)

    def identity(self, day: date) -> dict[str, Any]:
        """All that a checkpoint of this run and day must agree with."""
        return {
            "family": self.family,
            "run": self.name,
            "day": str(day),
            "seed": self.settings.training.seed,
            "start": str(self.settings.training.start),
            "model": self.model.model_dump(mode="json"),
            "features": {feature.name: feature.model_dump(mode="json") for feature in self.settings.features},
            "masks": identity(self.masks) if self.masks else None,
            "vocabulary": vocabulary_identity(self.paths, day),
        }

    def load(self, day: date) -> checkpoint.Checkpoint:
        """The published model of the day; raises Refusal when it is absent, damaged or another run's."""
        remedy = f"train it: python -m trainer.train_day --family {self.family} --day {day}"
        return checkpoint.load(
            self.paths.model(self.family, self.name, day), expected=self.identity(day), remedy=remedy
        )

    def restored(self, day: date) -> TaskModel:
        """The model as it stood at the end of the day, ready to predict."""
        saved = self.load(day)
        model = self.build(saved.sizes)
        model.load_state_dict(saved.weights)
        return model.eval()


def open_run(settings: Settings, family: Literal["ranker", "tagger"], model_name: str | None = None) -> DailyRun:
    """The run that the run file (or --model) asks for; reads its masks when its sharing needs them."""
    name = model_name or (settings.ranker.model if family == "ranker" else settings.tagger.model)
    model = model_for(settings, name)
    if model.family != family:
        raise Refusal(
            f"model '{name}' is a {model.family}, not a {family}", where="--model", remedy="choose another model"
        )
    masks = None
    if model.family == "ranker" and model.is_masked:
        masks = mask_store.load_for(settings, model)
    return DailyRun(
        settings=settings,
        name=run_name(name, settings.training.seed),
        model=model,
        objective=objective_of(model, settings),
        masks=masks,
        device=device(settings.training),
    )


def add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", help="model file in conf/models, without .toml; the run file's by default")
