"""Seconds of training for models of many domains, side by side on the same rows (AdaptDHM figure 3 and table 3).

    python -m tests.bench.domains [--rows 16384] [--domains 33] [--batch 2048] [--runs 3] [--threads 1]

Models are those of conf/models, here with the layers (512-256-128-64-32) and the batch of AdaptDHM section 4.1.3. An
epoch is a pass of trainer/training/loop.py over random rows that are in memory, CTR and CVR. Printed are seconds an
epoch, the ratio to adaptdhm's, and the network's parameters as multiples of the network without domains; then seconds
by number of clusters, and by number of rows.
"""

import argparse
import dataclasses

import numpy as np
import torch
from pydantic import TypeAdapter

from conf import cli
from conf.load import load_model, load_settings
from conf.settings.model_file import Model
from conf.settings.run_file import Settings
from etl.contract import columns_of, label_columns
from tests.bench.turns import Turns
from tests.lakes.samples import sample_rows, sizes
from tests.lakes.settings import START
from trainer.data.batch import Batch
from trainer.data.waiting import Waiting
from trainer.models.build import build
from trainer.objectives.build import objective_of
from trainer.training.determinism import make_deterministic
from trainer.training.loop import train_pass
from trainer.training.optimiser import StepOptimiser, size_above_tables

MODELS = ("dnn", "shared_bottom", "ple", "star", "adaptdhm")
HIDDEN = [512, 256, 128, 64, 32]
CLUSTERS = (1, 2, 4, 9, 16)
CPU = torch.device("cpu")


def random_rows(settings: Settings, rows: int, domains: int) -> Batch:
    """Rows of domains whose traffic falls off as 1 / (rank + 1)."""
    frame = sample_rows(settings, START, rows)
    traffic = 1 / np.arange(1, domains + 1)
    frame["f_domain"] = 2 + np.random.default_rng(1).choice(domains, rows, p=traffic / traffic.sum())
    labels = {name: torch.tensor(frame[name].to_numpy("float32")) for name in label_columns()}
    return Batch(torch.tensor(frame[columns_of(settings.features)].to_numpy("int64")), labels, {}, torch.empty(rows, 0))


@dataclasses.dataclass
class Training:
    """One model, ready to train on the rows again and again."""

    settings: Settings
    batch: Batch
    name: str
    batch_size: int
    domains: int
    clusters: int | None = None

    def __post_init__(self) -> None:
        declared = load_model(self.name).model_dump()
        declared["sharing"]["hidden"] = HIDDEN
        if self.clusters:
            declared["domain"]["clusters"] = self.clusters
        model = TypeAdapter(Model).validate_python(declared)
        assert model.kind == "network"
        self.network = build(model, self.settings, sizes(START) | {"domain": self.domains + 2})
        self.steps = objective_of(model, self.settings).steps
        self.optimiser = StepOptimiser(self.network, [step.name for step in self.steps], model.optimiser)

    @property
    def parameters(self) -> int:
        return size_above_tables(self.network)

    def epoch(self) -> None:
        random = torch.Generator()
        train_pass(self.network, self.optimiser, [self.batch], self.steps, self.batch_size, CPU, Waiting(), random)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=16_384)
    parser.add_argument("--domains", type=int, default=33, help="M")
    parser.add_argument("--batch", type=int, default=2048, help="rows of a training batch")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    settings = load_settings("conf/demo.toml")
    make_deterministic(settings.training.model_copy(update={"threads": arguments.threads}))
    rows = random_rows(settings, arguments.rows, arguments.domains)
    print(f"{arguments.rows:,} rows, {arguments.domains} domains, batch {arguments.batch}, layers {HIDDEN}")

    def training(name: str, clusters: int | None = None, batch: Batch = rows) -> Training:
        return Training(settings, batch, name, arguments.batch, arguments.domains, clusters)

    models = {name: training(name) for name in MODELS}
    turns = Turns({name: model.epoch for name, model in models.items()}, arguments.runs)
    for name, model in models.items():
        size = model.parameters / models["dnn"].parameters
        ratio = turns.ratio(name, "adaptdhm")
        print(f"{name:14} {turns.median(name):7.2f} s an epoch, {ratio} of adaptdhm's; {size:5.1f} x the network")
    by_clusters = {str(count): training("adaptdhm", count) for count in CLUSTERS}
    turns = Turns({name: model.epoch for name, model in by_clusters.items()}, arguments.runs)
    for name in by_clusters:
        print(f"{name:>3} clusters {turns.median(name):7.2f} s an epoch, {turns.ratio(name, '1')} of one cluster's")
    halves = {"all": training("adaptdhm"), "half": training("adaptdhm", batch=rows.rows(slice(0, len(rows) // 2)))}
    turns = Turns({name: model.epoch for name, model in halves.items()}, arguments.runs)
    print(f"all rows take {turns.ratio('all', 'half')} times as long as half of them")


if __name__ == "__main__":
    cli.run(main)
