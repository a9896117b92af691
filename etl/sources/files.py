"""Reads CSV and Parquet as text first, so that a bad row is seen as such and a bad file is refused at once."""

from collections.abc import Iterable
from functools import lru_cache, reduce
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from conf.errors import InputError
from etl.artefact import file_hash
from etl.sources.csv_checks import header, refuse_truncated
from etl.sources.parsing import LINE


@lru_cache(maxsize=4096)
def describe_input(path: Path, name: str) -> dict[str, Any]:
    """A file that was read, for the manifest; `name`: the file's name in the run file's terms."""
    return {"path": name, "bytes": path.stat().st_size, "sha256": file_hash(path)}


def read_csv(
    spark: SparkSession,
    paths: Iterable[Path],
    needed: Iterable[str],
    separator: str = ",",
    names: list[str] | None = None,
) -> DataFrame:
    """All columns as text, and LINE. `names`: the columns of files without a header.

    Raises InputError for an empty or truncated file, and for a file that lacks a column of `needed`.
    """
    needed = list(needed)
    parts = []
    for path in paths:
        columns = names or header(path, separator)
        _require_columns(path, columns, needed)
        refuse_truncated(path, len(columns), separator)
        schema = StructType([StructField(c, StringType()) for c in [*columns, LINE]])
        read = spark.read.csv(
            str(path),
            schema=schema,
            sep=separator,
            header=names is None,
            escape='"',
            mode="PERMISSIVE",
            columnNameOfCorruptRecord=LINE,
        )
        parts.append(read)
    return reduce(lambda a, b: a.unionByName(b, allowMissingColumns=True), parts)


def read_parquet(spark: SparkSession, paths: Iterable[Path], needed: Iterable[str]) -> DataFrame:
    """Columns as text or lists of text, and LINE (null). Raises InputError for an unreadable file or missing column.

    As text, because the files of two days may disagree on types: a column without values has none.
    """
    paths, needed = list(paths), list(needed)
    for path in paths:
        try:
            columns = pq.read_schema(path).names
        except (pa.ArrowInvalid, OSError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"not a whole Parquet file ({reason})", where=path, hint="it may be truncated: fetch it again"
            ) from None
        _require_columns(path, columns, needed)
    read = spark.read.parquet(*map(str, paths))
    return read.select(*(_text(c, kind) for c, kind in read.dtypes), F.lit(None).cast("string").alias(LINE))


def _require_columns(path: Path, columns: list[str], needed: list[str]) -> None:
    if missing := [c for c in needed if c not in columns]:
        raise InputError(
            f"no column {', '.join(missing)}",
            where=path,
            hint=f"the file has: {', '.join(columns)}; fix the file, or the names in [source] of the run file",
        )


def _text(column: str, kind: str) -> Column:
    if kind.startswith("array"):
        return F.col(column).cast("array<string>").alias(column)
    if kind == "timestamp":
        return F.date_format(column, "yyyy-MM-dd'T'HH:mm:ss.SSSXXX").alias(column)
    return F.col(column).cast("string").alias(column)
