"""Speed of the training reader, compared with plain pyarrow, and the share of training that waits for it.

    python -m tests.bench.reader

Both read the same columns of the same Parquet files into the same tensors, in turn: the ratio depends little on the
machine. The reader also shuffles, as in training.
"""

import argparse
import os
import resource
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import torch

from conf.load import load_model, load_settings
from conf.paths import Paths
from conf.settings.model_file import RankerModel
from conf.settings.run_file import Settings
from tests.bench.turns import Turns
from tests.lakes.samples import sample_rows, sizes, write_samples
from tests.lakes.settings import START
from trainer.data.layout import Layout
from trainer.data.reader import LABEL_COLUMNS, read
from trainer.data.waiting import Waiting
from trainer.models.build import ranker
from trainer.objectives.build import objective_of
from trainer.training.determinism import make_deterministic
from trainer.training.device import choose_device
from trainer.training.loop import PassResult, train_pass
from trainer.training.optimiser import StepOptimiser

ROW_GROUP = 131_072  # rows
COPIES = 20  # of the same random rows


def read_with_reader(folder: Path, layout: Layout) -> int:
    """Returns the number of rows."""
    return sum(len(batch) for batch in read(folder, layout, shuffle_seed=1))


def read_with_pyarrow(folder: Path, layout: Layout) -> int:
    """Returns the number of rows."""
    columns, rows = layout.columns, 0
    with pyarrow.parquet.ParquetFile(folder / "part-00000.parquet") as file:
        for n in range(file.num_row_groups):
            group = file.read_row_group(n, columns=[*columns, *LABEL_COLUMNS], use_threads=False)
            ids = np.empty((len(group), len(columns)), dtype=np.int64)
            for place, column in enumerate(columns):
                ids[:, place] = group[column].to_numpy()
            tensors = [torch.from_numpy(ids)] + [torch.from_numpy(np.array(group[name])) for name in LABEL_COLUMNS]
            rows += len(tensors[0])
    return rows


def train(folder: Path, settings: Settings, model: RankerModel) -> PassResult:
    make_deterministic(settings.training)
    device, waiting = choose_device(settings.training), Waiting()
    network = ranker(model, settings, sizes(START)).to(device)
    steps = objective_of(model, settings).steps
    optimiser = StepOptimiser(network, [step.name for step in steps], model.optimiser)
    rows = read(folder, Layout.of(settings.features), shuffle_seed=1, waiting=waiting)
    return train_pass(network, optimiser, rows, steps, model.optimiser.batch_size, device, waiting, torch.Generator())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2_000_000, help="2,000,000 by default")
    parser.add_argument("--runs", type=int, default=9, help="of both, in turn; 9 by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        os.environ["SPARSETAG_LAKE__ROOT"] = root
        settings = load_settings("conf/demo.toml")
        layout, folder = Layout.of(settings.features), Paths(settings.lake.root).samples(START)
        part = sample_rows(settings, START, arguments.rows // COPIES)
        write_samples(settings, START, pd.concat([part] * COPIES, ignore_index=True), ROW_GROUP)
        compare(folder, layout, arguments.runs)
        model = load_model("hard")
        assert model.family == "ranker" and model.kind == "network"
        result = train(folder, settings, model)
    print(f"training, batch {model.optimiser.batch_size}: {result.rows / result.seconds:,.0f} rows/s, ", end="")
    print(f"{result.waiting_share:.1%} of the time spent waiting for rows")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")


def compare(folder: Path, layout: Layout, runs: int) -> None:
    calls = {"reader (Petastorm, shuffled)": read_with_reader, "plain pyarrow": read_with_pyarrow}
    turns = Turns({name: partial(call, folder, layout) for name, call in calls.items()}, runs)
    rows = read_with_pyarrow(folder, layout)
    print(f"{rows:,} rows, {len(layout.columns) + len(LABEL_COLUMNS)} columns, row groups of {ROW_GROUP:,}, ", end="")
    print(f"{runs} runs in turn, medians")
    for name in calls:
        print(f"{name:30}{rows / turns.median(name) / 1e6:6.2f} M rows/s")
    print(f"{'ratio':30}{turns.ratio('plain pyarrow', 'reader (Petastorm, shuffled)'):>6}")


if __name__ == "__main__":
    main()
