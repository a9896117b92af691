"""Boosted trees, day by day: fit to all samples from the [training] start up to the day.

Boosting has no true warm start: trees that are added for a new day leave the old ones unchanged.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import torch

from conf import cli
from conf.settings.model_file import GbdtModel
from conf.settings.run_file import Settings
from etl.artefact import identity
from trainer.daily import plots, trees
from trainer.daily.run import DailyRun, TrainedDay
from trainer.data.batch import Batch
from trainer.data.reader import read
from trainer.data.waiting import Waiting
from trainer.objectives.ranking import ctr_cvr
from trainer.seeding import seed_of
from trainer.training import checkpoint
from trainer.training.loop import PassResult


@dataclass(frozen=True)
class GbdtRun(DailyRun[trees.Trees]):
    model: GbdtModel

    def load_model(self, day: date) -> trees.Trees:
        manifest = self.check(day)
        inputs = trees.TreeInputs.of(self.layout, manifest["sizes"])
        folder = self.paths.model(self.family, self.name, day)
        return trees.load(folder, inputs, manifest["constants"], self.settings.training.threads)

    def train(self, day: date, sizes: Mapping[str, int]) -> TrainedDay:
        settings, started, waiting = self.settings, time.perf_counter(), Waiting()
        days = cli.days(settings.training.start, day)
        inputs = trees.TreeInputs.of(self.layout, sizes)
        result = PassResult()

        def batches() -> Iterator[Batch]:
            for each in days:
                labels, folder = self.objective.label_columns, self.paths.samples(each)
                for batch in read(folder, self.layout, labels=labels, values=inputs.values, waiting=waiting):
                    result.rows += len(batch)
                    yield batch

        seed = seed_of(settings.training.seed, "trees", day)
        heads, threads = self.objective.heads, settings.training.threads
        fitted, result.losses = trees.fit(batches(), heads, inputs, self.model, seed, threads)
        result.seconds = time.perf_counter() - started
        result.waiting_share = waiting.seconds / result.seconds

        def save(staging: Path, manifest: Mapping[str, Any]) -> None:
            trees.save(staging, fitted)
            checkpoint.seal(staging, manifest)

        manifest = {
            "history": {str(each): identity(self.paths.samples(each)) for each in days},
            "constants": dict(fitted.constants),
            "feature_order": [feature.name for feature in settings.features],
        }
        return TrainedDay(result, manifest, save, figures=lambda: plots.of_trees(fitted))


def open_gbdt(settings: Settings, name: str, model: GbdtModel) -> GbdtRun:
    """LightGBM grows its trees on the CPU, whatever [training] device says."""
    return GbdtRun(settings, name, model, ctr_cvr(model.conversion), torch.device("cpu"))
