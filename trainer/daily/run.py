"""What a family of models has to offer to be trained a day at a time: the jobs know nothing else of it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import torch

from conf.paths import Paths
from conf.settings.model_file import Model
from conf.settings.run_file import Settings
from trainer.data.vocabulary import vocabulary_identity
from trainer.models.base import Predictor
from trainer.objectives.objective import Objective
from trainer.training import checkpoint
from trainer.training.loop import Pass

STEP = timedelta(days=1)


@dataclass(frozen=True)
class TrainedDay:
    """What a day's training came to.

    made: what the manifest says of it beside its identity, samples, metrics and losses. save: writes the model and the
    manifest into a staging folder.
    """

    model: Predictor
    done: Pass
    made: dict[str, Any]
    save: Callable[[Path, Mapping[str, Any]], None]


@dataclass(frozen=True)
class DailyRun(ABC):
    """One model on its way through the days: what it is, what it may depend on, how it predicts and learns."""

    settings: Settings
    name: str
    model: Model
    objective: Objective
    device: torch.device

    @abstractmethod
    def restored(self, day: date) -> Predictor:
        """The model as it stood at the end of the day, ready to predict; raises InputError as `check` does."""

    @abstractmethod
    def learn(self, day: date, sizes: Mapping[str, int]) -> TrainedDay:
        """Trains on the day, for vocabularies of the given sizes; raises InputError. Publishes nothing."""

    @property
    def family(self) -> str:
        return self.model.section

    @property
    def paths(self) -> Paths:
        return Paths(self.settings.lake.root)

    def identity(self, day: date) -> dict[str, Any]:
        """All that a model of this run and day must agree with."""
        return {
            "family": self.family,
            "run": self.name,
            "day": str(day),
            "seed": self.settings.training.seed,
            "start": str(self.settings.training.start),
            "model": self.model.model_dump(mode="json"),
            "features": {feature.name: feature.model_dump(mode="json") for feature in self.settings.features},
            "vocabulary": vocabulary_identity(self.paths, day),
        }

    def check(self, day: date) -> dict[str, Any]:
        """Manifest of the day's published model; raises InputError when it is absent, damaged or another run's."""
        return checkpoint.check(**self._published(day))

    def _published(self, day: date) -> dict[str, Any]:
        return {
            "folder": self.paths.model(self.family, self.name, day),
            "expected": self.identity(day),
            "hint": f"train it: python -m trainer.train_day --family {self.family} --day {day}",
        }
