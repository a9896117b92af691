"""Reads the rows of a published table through Petastorm. The only module that imports it."""

import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import torch
from numpy.typing import NDArray

from conf.errors import InputError
from etl.artefact import read_manifest
from etl.contract import label_columns
from trainer.data.batch import Batch
from trainer.data.layout import Layout
from trainer.data.waiting import Waiting

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from petastorm import make_batch_reader
# petastorm 0.12 warns of pyarrow interfaces that the pinned version still has
warnings.filterwarnings("ignore", category=FutureWarning, module="petastorm")
# petastorm takes column names as patterns and warns when one is the beginning of another
warnings.filterwarnings("ignore", message="schema_fields behavior has changed")
# batches are never written to
warnings.filterwarnings("ignore", message="The given NumPy array is not writable")

logging.getLogger("petastorm").setLevel(logging.ERROR)

# Petastorm's thread pool checks in two steps whether everything is read and can lose work that arrives in between
# (workers_pool/thread_pool.py, get_results). It is rare, and harmless here: the reader reopens and continues.
ATTEMPTS = 3

LABEL_COLUMNS = label_columns()


def read(
    folder: Path,
    layout: Layout,
    *,
    keys: Sequence[str] = (),
    labels: Sequence[str] = LABEL_COLUMNS,
    values: Sequence[str] = (),
    shuffle_seed: int | None = None,
    waiting: Waiting | None = None,
) -> Iterator[Batch]:
    """Yields the rows of one published table (samples/dt=D, users/dt=D), a row group at a time.

    keys, labels, values: the columns that end up in Batch.keys, Batch.labels and Batch.values.
    shuffle_seed: None keeps the order of the files; a seed shuffles row groups, and rows within each, the same way
    every time. Raises InputError when the table is missing, truncated or lacks a column, or when Petastorm keeps
    delivering fewer rows than the Parquet footers promise.
    """
    columns = layout.columns
    floats = [*labels, *values]
    promised = check(
        folder, {**dict.fromkeys(columns, "int32"), **dict.fromkeys(floats, "float"), **dict.fromkeys(keys)}
    )
    delivered = groups_done = attempts = 0
    # shuffling whole rows here is twice as fast as Petastorm's shuffling, which goes column by column
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
            hint="run the job again, and report it if it happens again",
        )


def _open(folder: Path, columns: list[str], shuffle_seed: int | None) -> Any:
    """A Petastorm reader of the row groups, in an order that only depends on the seed."""
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
    """Numeric feature -> mean and std over the rows of samples/dt=D that have a value, or None; raises InputError."""
    manifest = read_manifest(folder, hint="build it first: sparsetag build_samples")
    if "values" not in manifest:
        raise InputError(
            "the manifest lacks the mean and std of numeric features",
            where=folder,
            hint="rebuild it: sparsetag build_samples --force",
        )
    return dict(manifest["values"])


def check(folder: Path, columns: dict[str, str | None]) -> int:
    """Checks a published table and returns its number of rows by the Parquet footers; raises InputError.

    columns: name -> Arrow type, None for any.
    """
    rebuild = "rebuild it: sparsetag build_samples --force (build_users for users)"
    manifest = read_manifest(folder, hint="build it first: sparsetag build_samples (build_users for users)")
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
                    f"column {name} is missing",
                    where=path,
                    hint="make [[features]] agree with the table, or " + rebuild,
                )
            if kind and str(schema.field(name).type) != kind:
                raise InputError(f"column {name} holds {schema.field(name).type}, not {kind}", where=path, hint=rebuild)
        if found != entry["rows"]:
            raise InputError(f"{found} rows, but the manifest says {entry['rows']}", where=path, hint=rebuild)
        rows += found
    if rows == 0:
        raise InputError("no rows", where=folder, hint=rebuild)
    return rows
