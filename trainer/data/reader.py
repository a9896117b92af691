"""Rows out of Parquet through Petastorm, the only way in for training and prediction."""

import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import torch
from numpy.typing import NDArray

from conf.errors import InputError
from conf.settings.run_file import Feature
from etl.artefact import read_manifest
from etl.contract import columns_of, label_columns
from trainer.data.batch import Batch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from petastorm import make_batch_reader
# petastorm 0.12 announces pyarrow interfaces that this version of pyarrow still has
warnings.filterwarnings("ignore", category=FutureWarning, module="petastorm")
# names of columns are patterns to petastorm, which match whole names; it says so where one begins another
warnings.filterwarnings("ignore", message="schema_fields behavior has changed")
# what is read is never written to
warnings.filterwarnings("ignore", message="The given NumPy array is not writable")

logging.getLogger("petastorm").setLevel(logging.ERROR)

# Petastorm's pool looks whether all is read in two steps; work that comes between them is lost (workers_pool/
# thread_pool.py, get_results). Rare, and harmless here: it is opened again and goes on where it stopped.
ATTEMPTS = 3

LABEL_COLUMNS = label_columns()


@dataclass
class Waiting:
    """Seconds spent waiting for the reader, for the share of a training step that loading costs."""

    seconds: float = 0.0


def read(
    folder: Path,
    features: Sequence[Feature],
    *,
    keys: Sequence[str] = (),
    labels: Sequence[str] = LABEL_COLUMNS,
    values: Sequence[str] = (),
    shuffle_seed: int | None = None,
    waiting: Waiting | None = None,
) -> Iterator[Batch]:
    """The rows of one published table (samples/dt=D, users/dt=D), a row group at a time.

    labels, values: the columns of labels and of numeric features that the batches get, no others.
    shuffle_seed: None keeps the order of the files; a seed shuffles row groups, and rows within them. One thread
    and a seed give the same order every time. Raises InputError when the table is absent, truncated, lacks a column or
    when Petastorm keeps delivering another number of rows than the Parquet footers promise.
    """
    columns = columns_of(features)
    floats = [*labels, *values]
    promised = check(
        folder, {**dict.fromkeys(columns, "int32"), **dict.fromkeys(floats, "float"), **dict.fromkeys(keys)}
    )
    delivered = groups_done = attempts = 0
    # rows are shuffled here, where they already lie side by side: twice as fast as Petastorm's column by column
    random = None if shuffle_seed is None else np.random.RandomState(shuffle_seed)
    while delivered < promised and attempts < ATTEMPTS:
        attempts += 1
        with _open(folder, [*columns, *floats, *keys], shuffle_seed) as reader:
            groups = islice(reader, groups_done, None)
            while True:
                started = time.perf_counter()
                group = next(groups, None)
                batch = None if group is None else _batch(group._asdict(), columns, labels, values, keys, random)
                if waiting is not None:
                    waiting.seconds += time.perf_counter() - started
                if batch is None:
                    break
                delivered += len(batch)
                groups_done += 1
                yield batch
    if delivered != promised:
        raise InputError(
            f"the reader delivered {delivered} rows of {promised}",
            where=folder,
            hint="run again; report it if it stays",
        )


def _open(folder: Path, columns: list[str], shuffle_seed: int | None) -> Any:
    """A Petastorm reader of the row groups, in an order that depends on the seed alone."""
    return make_batch_reader(
        f"file://{folder.resolve()}",  # petastorm does not decode %3D
        schema_fields=columns,
        reader_pool_type="thread",
        workers_count=1,
        shuffle_row_groups=shuffle_seed is not None,
        seed=shuffle_seed or 0,
        num_epochs=1,
    )


def _batch(
    group: dict[str, NDArray[Any]],
    columns: Sequence[str],
    labels: Sequence[str],
    values: Sequence[str],
    keys: Sequence[str],
    random: np.random.RandomState | None,
) -> Batch:
    rows = len(next(iter(group.values())))
    ids = np.empty((rows, len(columns)), dtype=np.int64)
    for n, column in enumerate(columns):
        ids[:, n] = group[column]
    numbers = np.empty((rows, len(values)), dtype=np.float32)
    for n, column in enumerate(values):
        numbers[:, n] = group[column]
    order = slice(None) if random is None else random.permutation(rows)
    return Batch(
        ids=torch.from_numpy(ids[order]),
        labels={name: torch.from_numpy(group[name].astype(np.float32, copy=False)[order]) for name in labels},
        keys={name: group[name][order] for name in keys},
        values=torch.from_numpy(numbers[order]),
    )


def value_statistics(folder: Path) -> dict[str, dict[str, float | None]]:
    """Numeric feature -> mean and std over the rows of samples/dt=D that have it, or None; raises InputError."""
    manifest = read_manifest(folder, hint="build it first: python -m etl.build_samples")
    if "values" not in manifest:
        raise InputError(
            "its manifest lacks the mean and std of numeric features",
            where=folder,
            hint="build it again: python -m etl.build_samples --force",
        )
    return dict(manifest["values"])


def check(folder: Path, columns: dict[str, str | None]) -> int:
    """Rows that the Parquet footers promise, after the table was checked; raises InputError."""
    rebuild = "build it again: python -m etl.build_samples --force (or etl.build_users for users)"
    manifest = read_manifest(folder, hint="build it first: python -m etl.build_samples (or etl.build_users for users)")
    rows = 0
    for entry in manifest["files"]:
        path = folder / entry["name"]
        try:
            with pyarrow.parquet.ParquetFile(path) as file:
                schema, found = file.schema_arrow, file.metadata.num_rows
        except (OSError, pyarrow.ArrowException) as error:
            raise InputError(
                f"not a whole Parquet file ({str(error).splitlines()[0]})", where=path, hint=rebuild
            ) from None
        for name, kind in columns.items():
            if name not in schema.names:
                raise InputError(
                    f"column {name} is missing", where=path, hint="match [[features]] to the table, or " + rebuild
                )
            if kind and str(schema.field(name).type) != kind:
                raise InputError(f"column {name} holds {schema.field(name).type}, not {kind}", where=path, hint=rebuild)
        if found != entry["rows"]:
            raise InputError(f"{found} rows, but its manifest says {entry['rows']}", where=path, hint=rebuild)
        rows += found
    if rows == 0:
        raise InputError("no rows", where=folder, hint=rebuild)
    return rows
