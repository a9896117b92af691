"""Speed of training and inference, compared with torch-rechub 0.9 on the same rows, sizes and batch, in turn.

    pip install -c constraints.txt -e '.[bench]'
    python -m tests.bench.rechub [--rows 40000] [--batch 256] [--runs 3] [--threads 1]

torch-rechub runs as in its README: rows in memory, DataGenerator's loaders, MTLTrainer, SharedBottom and MMOE.
sparsetag reads rows from Parquet and trains `hard` and `mmoe` with trainer/training/loop.py, without cross products.
Both learn a click and a second label. torch-rechub shows every row once to both tasks; sparsetag shows it to CTR, and
again to CVR where it was clicked. Both rates count a row once.

Inference gives the probabilities of both tasks for every row. `predict` is all of trainer/evaluation/predict.py: it
also reads keys and labels, and builds the table of predictions.
"""

import argparse
import contextlib
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from conf import cli
from conf.errors import InputError
from conf.load import load_model, load_settings
from conf.paths import Paths
from conf.settings.model_file import RankerModel
from conf.settings.run_file import Settings
from etl.contract import feature_columns
from tests.bench.turns import Turns
from tests.lakes.samples import sample_rows, sizes, write_samples
from tests.lakes.settings import START
from trainer.data.layout import Layout
from trainer.data.reader import read
from trainer.data.waiting import Waiting
from trainer.evaluation.predict import CHUNK, predict
from trainer.models.build import ranker
from trainer.objectives.build import objective_of
from trainer.training.determinism import make_deterministic
from trainer.training.loop import train_pass
from trainer.training.optimiser import StepOptimiser

try:
    from torch_rechub.basic.features import SequenceFeature, SparseFeature
    from torch_rechub.models.multi_task import MMOE, SharedBottom
    from torch_rechub.trainers import MTLTrainer
    from torch_rechub.utils.data import DataGenerator, DataLoader, PredictDataset
except ImportError:
    MTLTrainer = None

LARGE = {"user_id": 30_000, "item_id": 8_000, "author_id": 5_000}  # number of ids of the features that have many
ROW_GROUP = 131_072  # rows
CPU = torch.device("cpu")
Call = Callable[[], object]


def random_rows(settings: Settings, rows: int) -> pd.DataFrame:
    frame = sample_rows(settings, START, rows)
    random = np.random.default_rng(1)
    for name, size in LARGE.items():
        frame[f"f_{name}"] = random.integers(2, size, rows)
    return frame


class Sparsetag:
    def __init__(self, model: RankerModel, settings: Settings, folder: Path) -> None:
        self.layout, self.folder, self.batch_size = Layout.of(settings.features), folder, model.optimiser.batch_size
        self.network = ranker(model, settings, sizes(START) | LARGE)
        self.objective = objective_of(model, settings)
        self.optimiser = StepOptimiser(self.network, [step.name for step in self.objective.steps], model.optimiser)

    def train(self) -> None:
        waiting = Waiting()
        labels = self.objective.label_columns
        rows = read(self.folder, self.layout, labels=labels, shuffle_seed=1, waiting=waiting)
        steps, random = self.objective.steps, torch.Generator()
        train_pass(self.network, self.optimiser, rows, steps, self.batch_size, CPU, waiting, random)

    def infer(self) -> None:
        self.network.eval()
        heads = self.objective.head_names
        with torch.inference_mode():
            for group in read(self.folder, self.layout, labels=()):
                for start in range(0, len(group), CHUNK):
                    logits = self.network.logits(group.rows(slice(start, start + CHUNK)), heads)
                    self.objective.probabilities(logits)

    def predict(self) -> None:
        predict(self.network, self.objective, self.folder, self.layout, CPU)


class TorchRechub:
    def __init__(self, model: RankerModel, settings: Settings, frame: pd.DataFrame) -> None:
        dim, vocabularies = model.embedding.dim, sizes(START) | LARGE
        features, x = [], {}
        for feature in settings.features:
            if feature.kind == "multi":
                features.append(SequenceFeature(feature.name, vocabularies[feature.name], dim, "mean", padding_idx=0))
                x[feature.name] = frame[feature_columns(feature)].to_numpy()
            else:
                features.append(SparseFeature(feature.name, vocabularies[feature.name], dim))
                x[feature.name] = frame[f"f_{feature.name}"].to_numpy()
        y = frame[["click", "converted"]].to_numpy()
        kinds = ["classification", "classification"]
        network = self._network(model, features, kinds)
        self.trainer = MTLTrainer(network, kinds, optimizer_params={"lr": 1e-3})
        batch = model.optimiser.batch_size
        self.loader, *_ = DataGenerator(x, y).generate_dataloader(
            x_val=x, y_val=y, x_test=x, y_test=y, batch_size=batch
        )
        self.rows = DataLoader(PredictDataset(x), batch_size=CHUNK)

    @staticmethod
    def _network(model: RankerModel, features: list[object], kinds: list[str]) -> torch.nn.Module:
        sharing = model.sharing
        if sharing.kind == "mmoe":
            towers = [{"dims": sharing.tower_hidden}] * len(kinds)
            return MMOE(features, kinds, sharing.experts, {"dims": sharing.expert_hidden}, towers)
        assert sharing.kind == "hard"
        towers = [{"dims": sharing.tower_hidden}] * len(kinds)
        return SharedBottom(features, kinds, {"dims": sharing.bottom_hidden}, towers)

    def train(self) -> None:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            self.trainer.train_one_epoch(self.loader)

    def infer(self) -> None:
        with contextlib.redirect_stderr(io.StringIO()):
            self.trainer.predict(self.trainer.model, self.rows)


def main() -> None:
    if MTLTrainer is None:
        raise InputError("not installed", where="torch-rechub", hint="pip install -c constraints.txt -e '.[bench]'")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=40_000)
    parser.add_argument(
        "--batch", type=int, default=256, help="rows of a training batch; torch-rechub's README has 256"
    )
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        os.environ["SPARSETAG_LAKE__ROOT"] = root
        settings = load_settings("conf/demo.toml")
        features = [feature.model_copy(update={"cross": False}) for feature in settings.features]
        settings = settings.model_copy(update={"features": features})
        make_deterministic(settings.training.model_copy(update={"threads": arguments.threads}))
        frame = random_rows(settings, arguments.rows)
        write_samples(settings, START, frame, ROW_GROUP)
        folder = Paths(settings.lake.root).samples(START)
        print(
            f"{arguments.rows:,} rows, {len(features)} features, batch {arguments.batch}, {arguments.threads} thread(s)"
        )
        for name in ("hard", "mmoe"):
            model = load_model(name)
            assert model.family == "ranker" and model.kind == "network"
            optimiser = model.optimiser.model_copy(update={"batch_size": arguments.batch})
            model = model.model_copy(update={"optimiser": optimiser})
            sparsetag, rechub = Sparsetag(model, settings, folder), TorchRechub(model, settings, frame)
            calls: dict[str, Call] = {"train": sparsetag.train, "rechub train": rechub.train}
            calls |= {"infer": sparsetag.infer, "predict": sparsetag.predict, "rechub infer": rechub.infer}
            report(name, Turns(calls, arguments.runs), arguments.rows)


def report(name: str, turns: Turns, rows: int) -> None:
    """Rows a second, and torch-rechub's time divided by sparsetag's."""
    for what, other in (("train", "rechub train"), ("infer", "rechub infer"), ("predict", "rechub infer")):
        rates = f"{rows / turns.median(what):>10,.0f} rows/s, torch-rechub {rows / turns.median(other):>8,.0f}"
        print(f"{name:6}{what:8}{rates}, ratio {turns.ratio(other, what)}", flush=True)


if __name__ == "__main__":
    cli.run(main)
