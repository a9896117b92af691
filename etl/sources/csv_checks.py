"""Refuses a CSV file that is empty, ambiguous or truncated before Spark reads it."""

import csv
import gzip
from collections import deque
from pathlib import Path
from typing import IO

from conf.errors import InputError

TAIL_BYTES = 1_000_000  # more than any line is long


def header(path: Path, separator: str) -> list[str]:
    """The column names of the first line; raises InputError when the file is empty or names a column twice."""
    with _open(path) as file:
        columns = next(csv.reader(file, delimiter=separator), [])
    if not columns:
        raise InputError("the file is empty", where=path, hint="fetch it again, or remove it")
    if twice := sorted({c for c in columns if columns.count(c) > 1}):
        raise InputError(f"the header names {', '.join(twice)} twice", where=path, hint="rename one of them")
    return columns


def refuse_truncated(path: Path, fields: int, separator: str) -> None:
    """Raises InputError when the last line has no line end and not all its `fields`: it was cut off."""
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


def _open(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _last_line(path: Path) -> str:
    """The last line, with its line end if it has one."""
    if path.suffix == ".gz":
        with _open(path) as text:
            return next(iter(deque(text, maxlen=1)), "\n")
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - TAIL_BYTES))
        lines = file.read().splitlines(keepends=True)
    return lines[-1].decode("utf-8", "replace") if lines else "\n"
