"""The rounds of iterative magnitude pruning (LT4REC Algorithm 1, lines 3 to 8), resumable one by one."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from conf.errors import InputError
from conf.paths import Paths
from conf.settings.model_file import RankerModel, TaggerModel
from conf.settings.run_file import Settings
from etl.artefact import identity, is_published, publish, read_manifest
from trainer.data import vocabulary
from trainer.data.reader import Waiting, read, value_statistics
from trainer.evaluation.metrics import flatten
from trainer.evaluation.predict import metrics_by_task, predict
from trainer.models.build import build, mask_shapes
from trainer.objectives.objective import apart
from trainer.objectives.task import Task
from trainer.parts.mask import Mask
from trainer.pruning import store as mask_store
from trainer.pruning.prune import PRUNE
from trainer.seeding import generator, seed_of
from trainer.training.device import device
from trainer.training.loop import train_pass
from trainer.training.optimiser import StepOptimiser


@dataclass(frozen=True)
class Round:
    """A mask and how the model trained under it does: `metric` on the validation day; `metrics`: all of them."""

    number: int
    mask: Mask
    metric: float
    metrics: dict[str, float]

    def record(self) -> dict[str, Any]:
        return {
            "round": self.number,
            "pruned_share": self.mask.pruned_share,
            "metric": self.metric,
            "metrics": self.metrics,
        }


@dataclass(frozen=True)
class Pruning:
    settings: Settings
    model: RankerModel | TaggerModel

    @cached_property
    def paths(self) -> Paths:
        return Paths(self.settings.lake.root)

    @cached_property
    def plain(self) -> RankerModel | TaggerModel:
        """Predicting by its last weights, whatever the model does later."""
        if self.model.family == "tagger":
            return self.model
        return self.model.model_copy(update={"ema_decay": 0.0})

    @cached_property
    def training_days(self) -> list[date]:
        return [self.settings.training.start + timedelta(days=n) for n in range(self.settings.masks.train_days)]

    @property
    def validation_day(self) -> date:
        return self.training_days[-1] + timedelta(days=1)

    @cached_property
    def made_from(self) -> dict[str, Any]:
        """All that the masks depend on; a kept round of anything else is done again.

        [tasks] is not among it: it weighs losses against each other, and a mask is found for one task alone; nor is
        ema_decay, which is about how to predict. So models that differ in them share their masks, whichever of them is
        there first.
        """
        days = [*self.training_days, self.validation_day]
        return {
            "model": self.plain.model_dump(mode="json", exclude={"tasks"}),
            "masks_settings": self.settings.masks.model_dump(mode="json", exclude={"version"}),
            "features": [feature.model_dump(mode="json") for feature in self.settings.features],
            "seed": self.settings.training.seed,
            "samples": {str(day): self._samples(day) for day in days},
        }

    def rounds(self, task: Task) -> Iterator[Round]:
        """Rounds 0 (nothing pruned) to n_pruning of one task; finished ones are read back."""
        mask = Mask(
            {n: torch.ones(shape, dtype=torch.bool) for n, shape in mask_shapes(self.model, self.settings).items()}
        )
        for number in range(self.settings.masks.rounds + 1):
            target = self._folder(task, number)
            if not self._is_kept(target):
                metrics, weights = self._train_and_validate(task, mask)
                value = metrics[f"{task.name}_{task.metric}"]
                content = {**self.made_from, "round": number, "metric": value, "metrics": metrics}
                pair = {"this": mask, "next": PRUNE[self.model.sharing](mask, weights, self.settings.masks.fraction)}
                publish(self.paths, target, partial(mask_store.write, masks=pair, manifest=content))
            masks, manifest = mask_store.read(target, hint="run again")
            yield Round(number, masks["this"], manifest["metric"], manifest["metrics"])
            mask = masks["next"]

    def _train_and_validate(self, task: Task, mask: Mask) -> tuple[dict[str, float], dict[str, Tensor]]:
        """Metrics of the day after, and weights, of one epoch from the initial weights under the mask."""
        settings = self.settings
        where = device(settings.training)
        sizes = vocabulary.sizes(self.paths, self.training_days[-1])
        masks = dict.fromkeys(self.model.heads, mask)
        network = build(self.plain, settings, sizes, masks).to(where)
        if network.value_columns:
            network.scale(value_statistics(self.paths.samples(settings.training.start)))
        objective = apart((task,))
        adam = StepOptimiser(network, [task.name], self.model.optimiser)
        for day in self.training_days:
            waiting = Waiting()
            seed = seed_of(settings.training.seed, "rows", day)
            groups = read(
                self.paths.samples(day),
                settings.features,
                labels=objective.label_columns,
                values=network.value_columns,
                shuffle_seed=seed,
                waiting=waiting,
            )
            random = generator(settings.training.seed, "drawn", day)
            train_pass(network, adam, groups, objective.steps, self.model.optimiser.batch_size, where, waiting, random)
        validation = self.paths.samples(self.validation_day)
        metrics = metrics_by_task(predict(network.eval(), objective, validation, settings.features, where))
        if metrics[task.name][task.metric] is None:
            raise InputError(
                f"{task.metric} of task {task.name} is undefined on the validation day",
                where=validation,
                hint="choose other [masks] train_days, so that the day after holds both classes",
            )
        weights = {name: weight.detach().cpu() for name, weight in network.maskable_weights().items()}
        return flatten(metrics), weights

    def _is_kept(self, target: Path) -> bool:
        if not is_published(target):
            return False
        manifest = read_manifest(target, hint="run again")
        return all(manifest.get(key) == value for key, value in self.made_from.items())

    def _folder(self, task: Task, number: int) -> Path:
        kept = self.paths.mask_rounds(self.model.section, mask_store.version(self.settings, self.model))
        return kept / task.name / f"round={number}"

    def _samples(self, day: date) -> str:
        folder = self.paths.samples(day)
        read_manifest(folder, hint=f"build the samples: python -m etl.build_samples --day {day}")
        return identity(folder)


def best_round(task: Task, rounds: list[Round]) -> Round:
    """The round from 1 on with the best metric (Algorithm 1, line 8); the denser one on a tie."""
    best = rounds[1]
    for candidate in rounds[2:]:
        if task.better(candidate.metric, best.metric):
            best = candidate
    return best
