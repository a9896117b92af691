"""All rounds of all tasks, logged to MLflow as they end, and the masks published (LT4REC Algorithm 1)."""

import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from conf.log import event
from conf.paths import Paths
from conf.settings.model_file import NetworkModel
from conf.settings.run_file import Settings
from etl.artefact import publish
from trainer.objectives.build import objective_of
from trainer.objectives.task import Task
from trainer.pruning import store
from trainer.pruning.overlap import overlap
from trainer.pruning.rounds import Pruning, Round, best_round
from trainer.tracking import figures, mlflow_runs


def generate(settings: Settings, model: NetworkModel, name: str) -> None:
    """Runs all rounds of all tasks, logs them, and publishes the masks."""
    generation = Generation(settings, model, name)
    tasks, pruning = objective_of(model, settings).heads, generation.pruning
    with generation.tracked() as run:
        rounds: dict[str, list[Round]] = {task.name: [] for task in tasks}
        for task in tasks:
            for finished in pruning.rounds(task):
                generation.log_round(run, task, finished)
                rounds[task.name].append(finished)
        best = {task.name: best_round(task, rounds[task.name]) for task in tasks}
        masks = {name: chosen.mask for name, chosen in best.items()}
        manifest = {
            **pruning.made_from,
            "version": generation.version,
            "best_round": {name: chosen.number for name, chosen in best.items()},
            "history": {name: [each.record() for each in of_task] for name, of_task in rounds.items()},
            "overlap": overlap(masks),
            "feature_order": [feature.name for feature in settings.features],
        }
        generation.log_choice(run, {task.name: task.metric for task in tasks}, best, manifest)
        target = store.folder(settings, model)
        publish(generation.paths, target, partial(store.write, masks=masks, manifest=manifest))
    shutil.rmtree(generation.paths.mask_rounds(model.family, generation.version))
    event("masks published", version=generation.version, folder=target, **manifest["best_round"])


@dataclass(frozen=True)
class Generation:
    """One generation of masks and its MLflow run, with a run for each round in it."""

    settings: Settings
    model: NetworkModel
    name: str

    @cached_property
    def pruning(self) -> Pruning:
        return Pruning(self.settings, self.model)

    @property
    def paths(self) -> Paths:
        return Paths(self.settings.lake.root)

    @property
    def version(self) -> str:
        return store.version(self.settings, self.model)

    @property
    def _tags(self) -> dict[str, str]:
        return {"family": self.model.family, "model": self.name, "job": "generate_masks", "version": self.version}

    @property
    def _params(self) -> dict[str, object]:
        return {
            "model": self.name,
            "seed": self.settings.training.seed,
            "rounds": self.settings.masks.rounds,
            "fraction": self.settings.masks.prune_fraction,
            **self.model.choices(),
        }

    def tracked(self) -> AbstractContextManager[mlflow_runs.Run]:
        version = self.version
        return mlflow_runs.run(self.settings, "masks", f"masks {version}", key=f"masks/{version}", tags=self._tags)

    def log_round(self, parent: mlflow_runs.Run, task: Task, finished: Round) -> None:
        day, number, share = self.pruning.validation_day, finished.number, finished.mask.pruned_share
        event(
            f"pruning round {number} of {self.settings.masks.rounds} finished",
            version=self.version,
            task=task.name,
            pruned=f"{share:.1%}",
            **{task.metric: f"{finished.metric:.5f}"},
            validation_day=day,
        )
        title, key = f"masks {self.version} {task.name} round {number}", f"masks/{self.version}/{task.name}/{number}"
        tags = {**self._tags, "task": task.name}
        with mlflow_runs.run(self.settings, "masks", title, key=key, tags=tags, parent=parent) as child:
            child.params({**self._params, "task": task.name, "round": number})
            child.metrics({"pruned_share": share, **finished.metrics}, day)
        parent.metrics({f"{task.name}_{task.metric}": finished.metric}, day, step=number)

    def log_choice(
        self, run: mlflow_runs.Run, metrics: dict[str, str], best: dict[str, Round], manifest: dict[str, Any]
    ) -> None:
        """Logs the inputs, the chosen rounds and the figures; metrics: task -> the metric that decided."""
        day, days, samples = self.pruning.validation_day, self.pruning.training_days, manifest["samples"]
        run.params({**self._params, "train_days": len(days), "validation_day": day})
        for trained in days:
            run.dataset(self.paths.samples(trained), samples[str(trained)], "training")
        run.dataset(self.paths.samples(day), samples[str(day)], "validation")
        run.metrics({f"{name}_best_round": chosen.number for name, chosen in best.items()}, day)
        run.metrics({f"{name}_pruned_share": chosen.mask.pruned_share for name, chosen in best.items()}, day)
        curves = figures.pruning_curves(manifest["history"], metrics, manifest["best_round"])
        run.figure(curves, "metric_by_pruning_round")
        run.figure(figures.mask_overlap(manifest["overlap"]), "mask_overlap_by_layer")
