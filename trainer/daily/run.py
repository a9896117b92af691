"""What a model must offer to be trained a day at a time: the jobs know nothing else of it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from matplotlib.figure import Figure

from conf.paths import Paths
from conf.settings.model_file import RankingModel, TaggerModel
from conf.settings.run_file import Settings
from trainer.data.layout import Layout
from trainer.data.vocabulary import vocabulary_identity
from trainer.models.base import Predictor
from trainer.objectives.objective import Objective
from trainer.training import checkpoint
from trainer.training.loop import PassResult

ONE_DAY = timedelta(days=1)
P_co = TypeVar("P_co", bound=Predictor, covariant=True)


@dataclass(frozen=True)
class TrainedDay:
    """A model that was trained on a day and is not published yet.

    manifest: what it adds to the manifest. save: writes the model and the whole manifest into a staging folder.
    figures: draws what the model shows of itself, name -> figure (trainer/daily/plots.py). metrics: numbers about the
    model itself, by name.
    """

    result: PassResult
    manifest: dict[str, Any]
    save: Callable[[Path, Mapping[str, Any]], None]
    figures: Callable[[], Mapping[str, Figure]]
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class DailyRun(ABC, Generic[P_co]):
    """One model on its way through the days: what it depends on, how it predicts, how it learns.

    settings: with [[features]] in the order of the run's first model (trainer/daily/open.py).
    """

    settings: Settings
    name: str
    model: RankingModel | TaggerModel
    objective: Objective
    device: torch.device

    @abstractmethod
    def load_model(self, day: date) -> P_co:
        """The model at the end of the day, ready to predict; raises InputError as `check` does."""

    @abstractmethod
    def train(self, day: date, sizes: Mapping[str, int]) -> TrainedDay:
        """Trains on the day, for vocabularies of these sizes; raises InputError. Publishes nothing."""

    @property
    def family(self) -> str:
        return self.model.family

    @property
    def paths(self) -> Paths:
        return Paths(self.settings.lake.root)

    @property
    def layout(self) -> Layout:
        return Layout.of(self.settings.features)

    def identity(self, day: date) -> dict[str, Any]:
        """Everything on which two models of this run and day must agree."""
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
        """Manifest of the day's published model; raises InputError when it is missing, damaged or another run's."""
        return checkpoint.check(**self._published(day))

    def _published(self, day: date) -> dict[str, Any]:
        return {
            "folder": self.paths.model(self.family, self.name, day),
            "expected": self.identity(day),
            "hint": f"train it: sparsetag train_day --family {self.family} --day {day}",
        }
