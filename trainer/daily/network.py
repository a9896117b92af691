"""Networks trained by gradients, day by day: built for today's vocabulary, going on from yesterday's weights."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from conf.settings.model_file import RankerModel, TaggerModel, needs_masks
from conf.settings.run_file import Settings
from etl.artefact import identity
from trainer.daily.run import STEP, DailyRun, TrainedDay
from trainer.data.reader import Waiting, read, value_statistics
from trainer.models.base import TaskModel
from trainer.models.build import build
from trainer.objectives.build import objective_of
from trainer.parts.mask import Mask
from trainer.parts.mask import identity as identity_of_masks
from trainer.pruning import store as mask_store
from trainer.seeding import generator, seed_of
from trainer.training import checkpoint
from trainer.training.device import device
from trainer.training.loop import train_pass
from trainer.training.optimiser import StepOptimiser


@dataclass(frozen=True)
class NetworkRun(DailyRun):
    model: RankerModel | TaggerModel
    masks: Mapping[str, Mask] | None

    def build(self, sizes: Mapping[str, int]) -> TaskModel:
        return build(self.model, self.settings, sizes, self.masks).to(self.device)

    def identity(self, day: date) -> dict[str, Any]:
        return {**super().identity(day), "masks": identity_of_masks(self.masks) if self.masks else None}

    def load(self, day: date) -> checkpoint.Checkpoint:
        """The day's checkpoint; raises InputError as `check` does."""
        return checkpoint.load(**self._published(day))

    def restored(self, day: date) -> TaskModel:
        saved = self.load(day)
        model = self.build(saved.sizes)
        model.load_state_dict(saved.weights)
        return model.eval()

    def learn(self, day: date, sizes: Mapping[str, int]) -> TrainedDay:
        """One pass over the day's samples, from where the day before ended."""
        settings, samples = self.settings, self.paths.samples(day)
        first = day == settings.training.start
        model = self.build(sizes)
        if first and model.value_columns:
            model.scale(value_statistics(samples))
        steps = self.objective.steps
        adam = StepOptimiser(model, [step.name for step in steps], self.model.optimiser)
        if not first:
            adam.restore(checkpoint.warm_start(model, self.load(day - STEP)))
        waiting = Waiting()
        rows = read(
            samples,
            settings.features,
            labels=self.objective.label_columns,
            values=model.value_columns,
            shuffle_seed=seed_of(settings.training.seed, "rows", day),
            waiting=waiting,
        )
        random = generator(settings.training.seed, "drawn", day)
        done = train_pass(model, adam, rows, steps, self.model.optimiser.batch_size, self.device, waiting, random)
        parent = None if first else identity(self.paths.model(self.family, self.name, day - STEP))
        return TrainedDay(
            model=model,
            done=done,
            made={"parent": parent, "batches": done.batches},
            save=lambda staging, manifest: checkpoint.save(staging, model, adam.state(), manifest),
        )


def open_network(settings: Settings, name: str, model: RankerModel | TaggerModel) -> NetworkRun:
    """Reads the masks when the model's sharing needs them; raises InputError when they are not there or do not fit."""
    return NetworkRun(
        settings=settings,
        name=name,
        model=model,
        objective=objective_of(model, settings),
        device=device(settings.training),
        masks=mask_store.load_for(settings, model) if needs_masks(model) else None,
    )
