"""Parquet whose bytes follow from its rows: order, number of files, their names and row groups."""

import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from etl.publish import file_hash

ROWS_A_FILE = 250_000
# readers shuffle the order of row groups and the rows inside one, so a day should have several
ROWS_A_GROUP = 16_384


def write_partitions(
    rows: DataFrame, by: list[str], order: list[Column], folder: Path, files: Column | None = None
) -> None:
    """Writes `rows` below `folder` as <by>=.../part-<n>.parquet, each file in `order`; `files`: a row's file number."""
    number = F.lit(0) if files is None else files
    written = rows.withColumn("_file", number.cast("int"))
    written = written.repartition(*by, "_file").sortWithinPartitions(*by, "_file", *order)
    written.write.option("parquet.block.row.count.limit", ROWS_A_GROUP).partitionBy(*by, "_file").parquet(str(folder))
    for file in sorted(folder.rglob("_file=*/*.parquet")):
        part = int(file.parent.name.removeprefix("_file="))
        file.rename(file.parent.parent / f"part-{part:05d}.parquet")
        shutil.rmtree(file.parent)


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


def day_folder(folder: Path, day: date) -> Path:
    return folder / f"dt={day}"
