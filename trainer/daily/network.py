"""Networks trained day by day: built for today's vocabulary, warm-started from yesterday's weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Generic, TypeVar

from matplotlib.figure import Figure

from conf import cli
from conf.settings.model_file import NetworkModel
from conf.settings.run_file import Settings
from etl.artefact import identity
from trainer.daily import clusters
from trainer.daily.run import ONE_DAY, DailyRun, TrainedDay
from trainer.data.reader import read, value_statistics
from trainer.data.waiting import Waiting
from trainer.models.base import TaskModel
from trainer.objectives.build import objective_of
from trainer.parts.mask import Mask
from trainer.parts.mask import identity as identity_of_masks
from trainer.pruning import store
from trainer.seeding import generator, seed_of
from trainer.training import checkpoint
from trainer.training.determinism import make_deterministic
from trainer.training.device import choose_device
from trainer.training.loop import train_pass
from trainer.training.optimiser import StepOptimiser, size_above_tables

D = TypeVar("D", bound=NetworkModel)  # what its model file declares
M = TypeVar("M", bound=TaskModel)
Builder = Callable[[D, Settings, Mapping[str, int], Mapping[str, Mask] | None], M]
Figures = Callable[[M, Settings, date], Mapping[str, Figure]]


@dataclass(frozen=True)
class NetworkRun(DailyRun[M], Generic[D, M]):
    model: D
    masks: Mapping[str, Mask] | None
    builder: Builder[D, M]
    figures: Figures[M]

    def build(self, sizes: Mapping[str, int]) -> M:
        return self.builder(self.model, self.settings, sizes, self.masks).to(self.device)

    def identity(self, day: date) -> dict[str, Any]:
        return {**super().identity(day), "masks": identity_of_masks(self.masks) if self.masks else None}

    def load(self, day: date) -> checkpoint.Checkpoint:
        """The day's checkpoint; raises InputError as `check` does."""
        return checkpoint.load(**self._published(day))

    def load_model(self, day: date) -> M:
        saved = self.load(day)
        model = self.build(saved.sizes)
        model.load_state_dict(saved.weights)
        return model.eval()

    def train(self, day: date, sizes: Mapping[str, int]) -> TrainedDay:
        """One pass over the day's samples, starting where the day before ended."""
        settings, samples = self.settings, self.paths.samples(day)
        first = day == settings.training.start
        model = self.build(sizes)
        if first and model.value_columns:
            model.scale(value_statistics(samples))
        steps = self.objective.steps
        optimiser = StepOptimiser(model, [step.name for step in steps], self.model.optimiser)
        if not first:
            optimiser.restore(checkpoint.warm_start(model, self.load(day - ONE_DAY)))
        waiting = Waiting()
        rows = read(
            samples,
            self.layout,
            labels=self.objective.label_columns,
            values=model.value_columns,
            shuffle_seed=seed_of(settings.training.seed, "rows", day),
            waiting=waiting,
        )
        random = generator(settings.training.seed, "drawn", day)
        batch_size = self.model.optimiser.batch_size
        result = train_pass(model, optimiser, rows, steps, batch_size, self.device, waiting, random)
        parent = None if first else identity(self.paths.model(self.family, self.name, day - ONE_DAY))
        order = [feature.name for feature in settings.features]
        found = model.clusters()
        clusters.warn(found, family=self.family, model=self.name, day=day)
        before = cli.days(settings.training.start, day)[-clusters.PICTURED_DAYS : -1]
        folders = {each: self.paths.model(self.family, self.name, each) for each in before}
        return TrainedDay(
            result=result,
            manifest={
                "parent": parent,
                "batches": result.batches,
                "feature_order": order,
                "clusters": clusters.as_json(found),
            },
            save=lambda staging, manifest: checkpoint.save(staging, model, optimiser.state(), manifest),
            figures=lambda: {**self.figures(model, settings, day), **clusters.pictures(folders, day, found)},
            metrics={"network_parameters": size_above_tables(model), **clusters.metrics(found)},
        )


def open_network(
    settings: Settings, name: str, model: D, builder: Builder[D, M], figures: Figures[M]
) -> NetworkRun[D, M]:
    """Reads the masks if the model needs them; raises InputError when they are missing or do not fit."""
    make_deterministic(settings.training)
    return NetworkRun(
        settings=settings,
        name=name,
        model=model,
        objective=objective_of(model, settings),
        device=choose_device(settings.training),
        masks=store.load_for(settings, model) if model.sharing.is_masked else None,
        builder=builder,
        figures=figures,
    )
