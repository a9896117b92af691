"""The rounds of iterative magnitude pruning (LT4REC Algorithm 1, lines 3 to 8), each of which is kept and resumed."""

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
from conf.settings.model_file import NetworkModel
from conf.settings.run_file import Settings
from etl.artefact import identity, publish, read_manifest, up_to_date
from trainer.data import vocabulary
from trainer.data.layout import Layout
from trainer.data.reader import read, value_statistics
from trainer.data.waiting import Waiting
from trainer.evaluation.metrics import flatten, metrics_by_task
from trainer.evaluation.predict import predict
from trainer.models.base import TaskModel
from trainer.models.build import build, mask_shapes
from trainer.objectives.objective import Objective, one_step_per_head
from trainer.objectives.task import Task
from trainer.parts.mask import Mask
from trainer.pruning import store
from trainer.pruning.prune import PRUNE
from trainer.seeding import generator, seed_of
from trainer.training.determinism import make_deterministic
from trainer.training.device import choose_device
from trainer.training.loop import train_pass
from trainer.training.optimiser import StepOptimiser


@dataclass(frozen=True)
class Round:
    """A mask, and how the model trained under it does on the validation day: the deciding metric, and all metrics."""

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
    """The search for the masks of one model."""

    settings: Settings
    model: NetworkModel

    @cached_property
    def paths(self) -> Paths:
        return Paths(self.settings.lake.root)

    @cached_property
    def layout(self) -> Layout:
        return Layout.of(self.settings.features)

    @cached_property
    def plain(self) -> NetworkModel:
        """The model without an average of its weights, which is about predicting later."""
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
        """Everything that the masks depend on; a kept round that was made from anything else is repeated.

        Losses' weights and ema_decay are left out: a mask is found for one task alone, and by the last weights. So
        models that only differ in these share their masks, whichever model is first.
        """
        days = [*self.training_days, self.validation_day]
        ignored: Any = {"tasks": True, "objective": {"tasks", "weights"}}
        return {
            "model": self.plain.model_dump(mode="json", exclude=ignored),
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
        prune = PRUNE[self.model.sharing.kind]
        for number in range(self.settings.masks.rounds + 1):
            target = self._folder(task, number)
            if not up_to_date(target, self.made_from):
                metrics, weights = self._train_and_validate(task, mask)
                value = metrics[f"{task.name}_{task.metric}"]
                content = {**self.made_from, "round": number, "metric": value, "metrics": metrics}
                pair = {"this": mask, "next": prune(mask, weights, self.settings.masks.prune_fraction)}
                publish(self.paths, target, partial(store.write, masks=pair, manifest=content))
            masks, manifest = store.read(target, hint="run the job again")
            yield Round(number, masks["this"], manifest["metric"], manifest["metrics"])
            mask = masks["next"]

    def _train_and_validate(self, task: Task, mask: Mask) -> tuple[dict[str, float], dict[str, Tensor]]:
        """Trains for one epoch from the initial weights under the mask: metrics of the validation day, and weights."""
        training = self.settings.training
        make_deterministic(training)
        device = choose_device(training)
        sizes = vocabulary.sizes(self.paths, self.training_days[-1])
        network = build(self.plain, self.settings, sizes, dict.fromkeys(self.model.heads, mask)).to(device)
        objective = one_step_per_head((task,))
        self._train(network, objective, device)
        validation = self.paths.samples(self.validation_day)
        metrics = metrics_by_task(predict(network.eval(), objective, validation, self.layout, device))
        if metrics[task.name][task.metric] is None:
            raise InputError(
                f"{task.metric} of task {task.name} is undefined on the validation day",
                where=validation,
                hint="choose other [masks] train_days, so that the day after them holds both classes",
            )
        return flatten(metrics), {name: weight.detach().cpu() for name, weight in network.maskable_weights().items()}

    def _train(self, network: TaskModel, objective: Objective, device: torch.device) -> None:
        seed, optimiser = self.settings.training.seed, self.model.optimiser
        if network.value_columns:
            network.scale(value_statistics(self.paths.samples(self.settings.training.start)))
        adam = StepOptimiser(network, [step.name for step in objective.steps], optimiser)
        for day in self.training_days:
            waiting = Waiting()
            groups = read(
                self.paths.samples(day),
                self.layout,
                labels=objective.label_columns,
                values=network.value_columns,
                shuffle_seed=seed_of(seed, "rows", day),
                waiting=waiting,
            )
            random = generator(seed, "drawn", day)
            train_pass(network, adam, groups, objective.steps, optimiser.batch_size, device, waiting, random)

    def _folder(self, task: Task, number: int) -> Path:
        kept = self.paths.mask_rounds(self.model.family, store.version(self.settings, self.model))
        return kept / task.name / f"round={number}"

    def _samples(self, day: date) -> str:
        folder = self.paths.samples(day)
        read_manifest(folder, hint=f"build the samples: sparsetag build_samples --day {day}")
        return identity(folder)


def best_round(task: Task, rounds: list[Round]) -> Round:
    """The round from 1 on with the best metric (LT4REC Algorithm 1, line 8); the denser one on a tie."""
    best = rounds[1]
    for candidate in rounds[2:]:
        if task.better(candidate.metric, best.metric):
            best = candidate
    return best
