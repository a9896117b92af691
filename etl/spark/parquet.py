"""Parquet whose bytes follow from its rows: order, number of files, their names and row groups.

Written by Arrow in Spark's tasks. Spark's own writer lists a column's encodings in the order of a Java hash set, which
changes from one JVM to the next, and so do the bytes of equal tables.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import TaskContext
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from etl.artefact import file_hash

ROWS_A_FILE = 250_000
# readers shuffle the order of row groups and the rows inside one, and pay some milliseconds for each
ROWS_A_GROUP = 131_072
ARROW = {"string": pa.string(), "bigint": pa.int64(), "float": pa.float32(), "int": pa.int32()}


def write_partitions(
    rows: DataFrame,
    schema: dict[str, str],
    by: list[str],
    order: list[Column],
    folder: Path,
    files: Column | None = None,
) -> None:
    """Writes the columns of `schema` as <folder>/<by>=.../part-<n>.parquet, each file in `order`.

    `files`: the number of a row's file in its partition, 0 by default.
    """
    number = F.lit(0) if files is None else files
    places = [*by, "_file"]
    arrow = pa.schema([(name, ARROW[kind]) for name, kind in schema.items()])

    def write(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        context = TaskContext.get()
        attempt = context.taskAttemptId() if context else 0
        written = 0
        writer: _Writer | None = None
        for batch in batches:
            for start, end in _runs(batch, places):
                path = _path(folder, by, tuple(batch.column(name)[start].as_py() for name in places))
                if writer is None or writer.path != path:
                    if writer:
                        writer.close()
                    writer = _Writer(path, arrow, attempt)
                writer.add(batch.slice(start, end - start))
                written += end - start
        if writer:
            writer.close()
        yield pa.RecordBatch.from_pydict({"rows": pa.array([written], pa.int64())})

    placed = rows.select(*by, number.cast("int").alias("_file"), *schema)
    placed.repartition(*places).sortWithinPartitions(*places, *order).mapInArrow(write, "rows bigint").collect()


class _Writer:
    """One file, in row groups of ROWS_A_GROUP however the rows arrive; there under its name once it is whole."""

    def __init__(self, path: Path, schema: pa.Schema, attempt: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.aside = path, path.with_suffix(f".{attempt}")
        self.schema, self.waiting = schema, schema.empty_table()
        self.file = pq.ParquetWriter(self.aside, schema)

    def add(self, batch: pa.RecordBatch) -> None:
        fresh = pa.Table.from_batches([batch]).select(self.schema.names).cast(self.schema)
        self.waiting = pa.concat_tables([self.waiting, fresh])
        while len(self.waiting) >= ROWS_A_GROUP:
            self.file.write_table(self.waiting.slice(0, ROWS_A_GROUP), row_group_size=ROWS_A_GROUP)
            self.waiting = self.waiting.slice(ROWS_A_GROUP)

    def close(self) -> None:
        if len(self.waiting):
            self.file.write_table(self.waiting, row_group_size=ROWS_A_GROUP)
        self.file.close()
        self.aside.replace(self.path)


def _path(folder: Path, by: list[str], place: tuple[Any, ...]) -> Path:
    *values, number = place
    parts = [f"{name}={value}" for name, value in zip(by, values, strict=True)]
    return folder.joinpath(*parts, f"part-{number:05d}.parquet")


def _runs(batch: pa.RecordBatch, names: list[str]) -> Iterator[tuple[int, int]]:
    """The stretches of rows that agree on some columns."""
    rows = batch.num_rows
    changes = np.zeros(max(rows - 1, 0), dtype=bool)
    for name in names:
        codes = batch.column(name).dictionary_encode().indices.to_numpy()
        changes |= codes[1:] != codes[:-1]
    edges = [0, *(np.flatnonzero(changes) + 1).tolist(), rows] if rows else []
    yield from pairwise(edges)


def hash_file(identifier: str, files: Column) -> Column:
    """A row's file number by the hash of its identifier, for a day of so many files."""
    return F.pmod(F.xxhash64(identifier), files)


def hash_order(identifier: str) -> list[Column]:
    """An order that has nothing to do with time or keys, and follows from the rows alone."""
    return [F.xxhash64(identifier), F.col(identifier)]


def files_needed(rows: int) -> int:
    return max(1, -(-rows // ROWS_A_FILE))


def described(folder: Path) -> list[dict[str, Any]]:
    """Name, rows and hash of each Parquet file of a folder."""
    return [
        {"name": file.name, "rows": pq.read_metadata(file).num_rows, "sha256": file_hash(file)}
        for file in sorted(folder.glob("*.parquet"))
    ]
