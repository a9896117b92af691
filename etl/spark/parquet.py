"""Deterministic Parquet: equal rows give equal bytes (order, number of files, file names, row groups).

Arrow writes the files in Spark's tasks. Spark's own writer lists a column's encodings in the order of a Java hash set,
which changes from one JVM to the next, and the bytes of equal tables with it.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import TaskContext
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

Batches = Iterator[pa.RecordBatch]
ROWS_A_FILE = 250_000
# readers shuffle the order of row groups and the rows within one; each group costs them some milliseconds
ROWS_A_GROUP = 131_072


def write_partitions(
    rows: DataFrame,
    schema: pa.Schema,
    by: list[str],
    order: list[Column],
    folder: Path,
    files: Column | None = None,
) -> None:
    """Writes the columns of `schema` as <folder>/<by>=.../part-<n>.parquet, each file in `order`.

    `files`: the number of a row's file within its partition, 0 by default.
    """
    number = F.lit(0) if files is None else files
    keys = [*by, "_file"]
    placed = rows.select(*by, number.cast("int").alias("_file"), *schema.names)
    sorted_rows = placed.repartition(*keys).sortWithinPartitions(*keys, *order)
    sorted_rows.mapInArrow(_writer_of(schema, by, folder), "rows bigint").collect()


def _writer_of(schema: pa.Schema, by: list[str], folder: Path) -> Callable[[Batches], Batches]:
    """What a Spark task does with its sorted rows: writes a file for each partition and file number."""
    keys = [*by, "_file"]

    def write(batches: Batches) -> Batches:
        context = TaskContext.get()
        attempt = context.taskAttemptId() if context else 0
        written = 0
        writer: _Writer | None = None
        for batch in batches:
            for start, end in _runs(batch, keys):
                path = _path(folder, by, tuple(batch.column(name)[start].as_py() for name in keys))
                if writer is None or writer.path != path:
                    if writer:
                        writer.close()
                    writer = _Writer(path, schema, attempt)
                writer.add(batch.slice(start, end - start))
                written += end - start
        if writer:
            writer.close()
        yield pa.RecordBatch.from_pydict({"rows": pa.array([written], pa.int64())})

    return write


class _Writer:
    """One file in row groups of ROWS_A_GROUP, however the rows arrive; it gets its name once it is complete."""

    def __init__(self, path: Path, schema: pa.Schema, attempt: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.aside = path, path.with_suffix(f".{attempt}")
        self.schema, self.waiting = schema, schema.empty_table()
        self.file = pq.ParquetWriter(self.aside, schema)

    def add(self, batch: pa.RecordBatch) -> None:
        rows = pa.Table.from_batches([batch]).select(self.schema.names).cast(self.schema)
        self.waiting = pa.concat_tables([self.waiting, rows])
        while len(self.waiting) >= ROWS_A_GROUP:
            self.file.write_table(self.waiting.slice(0, ROWS_A_GROUP), row_group_size=ROWS_A_GROUP)
            self.waiting = self.waiting.slice(ROWS_A_GROUP)

    def close(self) -> None:
        if len(self.waiting):
            self.file.write_table(self.waiting, row_group_size=ROWS_A_GROUP)
        self.file.close()
        self.aside.replace(self.path)


def _path(folder: Path, by: list[str], keys: tuple[Any, ...]) -> Path:
    *values, number = keys
    parts = [f"{name}={value}" for name, value in zip(by, values, strict=True)]
    return folder.joinpath(*parts, f"part-{number:05d}.parquet")


def _runs(batch: pa.RecordBatch, names: list[str]) -> Iterator[tuple[int, int]]:
    """Start and end of each run of consecutive rows that agree on the named columns."""
    rows = batch.num_rows
    changes = np.zeros(max(rows - 1, 0), dtype=bool)
    for name in names:
        codes = batch.column(name).dictionary_encode().indices.to_numpy()
        changes |= codes[1:] != codes[:-1]
    edges = [0, *(np.flatnonzero(changes) + 1).tolist(), rows] if rows else []
    yield from pairwise(edges)


def hash_file(identifier: str, files: Column) -> Column:
    """A row's file number, by the hash of its identifier; `files`: how many files there are."""
    return F.pmod(F.xxhash64(identifier), files)


def hash_order(identifier: str) -> list[Column]:
    """An order that follows from the rows alone and is independent of time and keys."""
    return [F.xxhash64(identifier), F.col(identifier)]


def files_needed(rows: int) -> int:
    return max(1, -(-rows // ROWS_A_FILE))


def rows_in(folder: Path) -> int:
    return sum(pq.read_metadata(file).num_rows for file in folder.glob("*.parquet"))
