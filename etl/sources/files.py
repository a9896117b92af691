"""Reads CSV and Parquet as text first, so that a bad row is seen as such and a bad file is refused at once."""

import csv
import gzip
from collections import deque
from collections.abc import Iterable
from functools import lru_cache, reduce
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from conf.errors import InputError
from etl.artefact import file_hash

MALFORMED = "malformed row"
# text of a CSV line that has too few or too many fields
LINE = "_line"


@lru_cache(maxsize=4096)
def described(path: Path, name: str) -> dict[str, Any]:
    """What stands in a manifest for a file read; `name` is how the run file knows it."""
    return {"path": name, "bytes": path.stat().st_size, "sha256": file_hash(path)}


def read_csv(
    spark: SparkSession,
    paths: Iterable[Path],
    needed: Iterable[str],
    separator: str = ",",
    names: list[str] | None = None,
) -> DataFrame:
    """All columns as text plus LINE. `names`: the columns of files without header.

    Raises InputError for an empty or truncated file and for a column of `needed` that a file lacks.
    """
    needed = list(needed)
    parts = []
    for path in paths:
        columns = names or _header(path, separator)
        if missing := [c for c in needed if c not in columns]:
            raise InputError(
                f"no column {', '.join(missing)}", where=path, hint=f"the file has: {', '.join(columns)}; mend either"
            )
        _refuse_truncated(path, len(columns), separator)
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
    """Columns as text or lists of text, plus LINE (null). Raises InputError for an unreadable file or missing column.

    Text, because the files of two days need not agree on types: a column without values has none.
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
        if missing := [c for c in needed if c not in columns]:
            raise InputError(
                f"no column {', '.join(missing)}", where=path, hint=f"the file has: {', '.join(columns)}; mend either"
            )
    read = spark.read.parquet(*map(str, paths))
    return read.select(*(_text(c, kind) for c, kind in read.dtypes), F.lit(None).cast("string").alias(LINE))


def _text(column: str, kind: str) -> Column:
    if kind.startswith("array"):
        return F.col(column).cast("array<string>").alias(column)
    if kind == "timestamp":
        return F.date_format(column, "yyyy-MM-dd'T'HH:mm:ss.SSSXXX").alias(column)
    return F.col(column).cast("string").alias(column)


def refuse_mistyped(rows: DataFrame, parsed: dict[str, Column], where: object) -> None:
    """Raises InputError when most values of a column do not parse: then the column is wrong, not its rows."""
    checks: list[Column] = []
    for name, value in parsed.items():
        bad = F.col(name).isNotNull() & value.isNull()
        checks += [F.count(name), F.count(F.when(bad, 1)), F.min(F.when(bad, F.col(name).cast("string")))]
    found = rows.agg(*(c.alias(str(n)) for n, c in enumerate(checks))).head()
    assert found is not None
    for n, name in enumerate(parsed):
        values, bad_values, example = found[3 * n : 3 * n + 3]
        if bad_values * 2 > values:
            raise InputError(
                f"column '{name}' has the wrong type: {bad_values} of {values} values do not parse, e.g. '{example}'",
                where=where,
                hint="mend the column, or name the right one",
            )


def refused_and_raw(rows: DataFrame, parsed: dict[str, Column], required: Iterable[str] = ()) -> tuple[Column, Column]:
    """`refused` and `raw` of contract.BOOKKEEPING: a row is malformed when a line or value does not parse."""
    broken = F.col(LINE).isNotNull()
    for name, value in parsed.items():
        broken |= F.col(name).isNotNull() & value.isNull()
    for name in required:
        broken |= F.col(name).isNull()
    text = F.coalesce(F.col(LINE), F.to_json(F.struct(*(c for c in rows.columns if c != LINE))))
    return F.when(broken, F.lit(MALFORMED)), F.when(broken, text)


def _open(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _header(path: Path, separator: str) -> list[str]:
    with _open(path) as file:
        columns = next(csv.reader(file, delimiter=separator), [])
    if not columns:
        raise InputError("the file is empty", where=path, hint="fetch it again, or take it away")
    if twice := sorted({c for c in columns if columns.count(c) > 1}):
        raise InputError(f"its header names {', '.join(twice)} twice", where=path, hint="rename one of them")
    return columns


def _refuse_truncated(path: Path, fields: int, separator: str) -> None:
    """A last line that neither ends nor has all its fields was cut off."""
    try:
        last = _last_line(path)
    except EOFError:
        raise InputError("truncated: the archive ends early", where=path, hint="fetch it again") from None
    if last.endswith("\n"):
        return
    found = len(next(csv.reader([last], delimiter=separator), []))
    if found != fields or last.count('"') % 2:
        raise InputError(
            f"truncated: its last line has {found} of {fields} fields and no end", where=path, hint="fetch it again"
        )


def _last_line(path: Path) -> str:
    """The last line, with its line end if it has one."""
    if path.suffix == ".gz":
        with _open(path) as text:
            return next(iter(deque(text, maxlen=1)), "\n")
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 1_000_000))
        lines = file.read().splitlines(keepends=True)
    return lines[-1].decode("utf-8", "replace") if lines else "\n"
