"""Boosted trees, day by day: fit anew to all samples from the [training] start to the day.

Boosting has no honest warm start: trees that are added for a new day leave the old ones as they were.
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
from trainer.daily import trees as gbdt
from trainer.daily.run import DailyRun, TrainedDay
from trainer.data.batch import Batch
from trainer.data.reader import Waiting, read
from trainer.objectives.ranking import ctr_cvr
from trainer.seeding import seed_of
from trainer.training import checkpoint
from trainer.training.loop import Pass


@dataclass(frozen=True)
class GbdtRun(DailyRun):
    model: GbdtModel

    def restored(self, day: date) -> gbdt.Trees:
        manifest = self.check(day)
        columns = gbdt.Columns.of(self.settings.features, manifest["sizes"])
        folder = self.paths.model(self.family, self.name, day)
        return gbdt.load(folder, columns, manifest["constants"], self.settings.training.threads)

    def learn(self, day: date, sizes: Mapping[str, int]) -> TrainedDay:
        settings, started, waiting = self.settings, time.perf_counter(), Waiting()
        days = cli.days(settings.training.start, day)
        columns = gbdt.Columns.of(settings.features, sizes)
        done = Pass()

        def batches() -> Iterator[Batch]:
            for each in days:
                labels = self.objective.label_columns
                folder = self.paths.samples(each)
                for batch in read(folder, settings.features, labels=labels, values=columns.values, waiting=waiting):
                    done.rows += len(batch)
                    yield batch

        seed = seed_of(settings.training.seed, "trees", day)
        trees, done.losses = gbdt.grow(
            batches(), self.objective.heads, columns, self.model, seed, settings.training.threads
        )
        done.seconds = time.perf_counter() - started
        done.waiting_share = waiting.seconds / done.seconds

        def save(staging: Path, manifest: Mapping[str, Any]) -> None:
            gbdt.save(staging, trees)
            checkpoint.seal(staging, manifest)

        history = {str(each): identity(self.paths.samples(each)) for each in days}
        return TrainedDay(trees, done, {"history": history, "constants": dict(trees.constants)}, save)


def open_gbdt(settings: Settings, name: str, model: GbdtModel) -> GbdtRun:
    """LightGBM grows its trees on the CPU, whatever [training] device says."""
    return GbdtRun(settings, name, model, ctr_cvr(model.conversion), torch.device("cpu"))
