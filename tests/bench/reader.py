"""How fast the training reader is next to plain pyarrow, and how long a training step waits for it.

    make bench

Both read the same Parquet files, the same columns, into the same tensors; the ratio is what counts, the machine is
what it is. The reader shuffles as in training, pyarrow does not have to.
"""

import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet
import torch

from conf.load import load_model, load_settings
from conf.paths import Paths
from conf.settings.model_file import RankerModel
from conf.settings.run_file import Settings
from etl.contract import columns_of
from tests.lakes.samples import sample_rows, sizes, write_samples
from tests.lakes.settings import START
from trainer.data.layout import Layout
from trainer.data.reader import LABEL_COLUMNS, read
from trainer.data.waiting import Waiting
from trainer.models.build import build
from trainer.objectives.build import objective_of
from trainer.training.determinism import make_deterministic
from trainer.training.device import choose_device
from trainer.training.loop import PassResult, train_pass
from trainer.training.optimiser import StepOptimiser

ROWS, ROW_GROUP, RUNS = 2_000_000, 131_072, 9


def with_reader(folder: Path, settings: Settings) -> int:
    return sum(len(batch) for batch in read(folder, Layout.of(settings.features), shuffle_seed=1))


def with_pyarrow(folder: Path, settings: Settings) -> int:
    columns, rows = columns_of(settings.features), 0
    with pyarrow.parquet.ParquetFile(folder / "part-00000.parquet") as file:
        for n in range(file.num_row_groups):
            group = file.read_row_group(n, columns=[*columns, *LABEL_COLUMNS], use_threads=False)
            ids = np.empty((len(group), len(columns)), dtype=np.int64)
            for place, column in enumerate(columns):
                ids[:, place] = group[column].to_numpy()
            tensors = [torch.from_numpy(ids)] + [torch.from_numpy(np.array(group[name])) for name in LABEL_COLUMNS]
            rows += len(tensors[0])
    return rows


def rate(reading: Callable[[Path, Settings], int], folder: Path, settings: Settings) -> float:
    """Million rows a second."""
    started = time.perf_counter()
    rows = reading(folder, settings)
    assert rows == ROWS, f"{rows} of {ROWS} rows"
    return rows / (time.perf_counter() - started) / 1e6


def trained(folder: Path, settings: Settings, model: RankerModel) -> PassResult:
    make_deterministic(settings.training)
    device = choose_device(settings.training)
    network = build(model, settings, sizes(START)).to(device)
    steps = objective_of(model, settings).steps
    optimiser = StepOptimiser(network, [step.name for step in steps], model.optimiser)
    waiting = Waiting()
    rows = read(folder, Layout.of(settings.features), shuffle_seed=1, waiting=waiting)
    return train_pass(network, optimiser, rows, steps, model.optimiser.batch_size, device, waiting, torch.Generator())


def main() -> None:
    with tempfile.TemporaryDirectory() as root:
        os.environ["SPARSETAG_LAKE__ROOT"] = root
        settings = load_settings("conf/demo.toml")
        model = load_model("hard")
        assert model.family == "ranker"
        some = sample_rows(settings, START, ROWS // 20)
        write_samples(settings, START, pd.concat([some] * 20, ignore_index=True), ROW_GROUP)
        folder = Paths(settings.lake.root).samples(START)
        columns = len(columns_of(settings.features)) + len(LABEL_COLUMNS)
        print(f"{ROWS:,} rows, {columns} columns, row groups of {ROW_GROUP:,}, {RUNS} runs in turn, medians")
        rate(with_reader, folder, settings), rate(with_pyarrow, folder, settings)  # the page cache is warm from here on
        pairs = [(rate(with_reader, folder, settings), rate(with_pyarrow, folder, settings)) for _ in range(RUNS)]
        ratios = [reader / plain for reader, plain in pairs]
        print(f"reader (Petastorm, shuffled)  {statistics.median(p[0] for p in pairs):6.2f} M rows/s")
        print(f"plain pyarrow                 {statistics.median(p[1] for p in pairs):6.2f} M rows/s")
        print(
            f"ratio                         {statistics.median(ratios):6.2f}   ({min(ratios):.2f} to {max(ratios):.2f})"
        )
        done = trained(folder, settings, model)
        print(f"training, batch {model.optimiser.batch_size}: {done.rows / done.seconds:,.0f} rows/s, ", end="")
        print(f"{done.waiting_share:.1%} of the time spent waiting for rows")
        print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")


if __name__ == "__main__":
    main()
