"""The files of a mapped table: one path for all days, or one for each day by {day} in the path."""

from datetime import date, timedelta
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from conf.errors import InputError
from conf.settings.source import EventTable
from etl.sources.files import read_csv, read_parquet


def partitions(name: str, table: EventTable, first: date, last: date, margin: int) -> dict[date | None, list[Path]]:
    """Day -> files, or None -> files when the path names no {day}.

    Raises InputError when a day from first to last has no file; the days of the margin may be missing.
    """
    if "{day" not in table.path:
        return {None: whole(name, table)}
    found: dict[date | None, list[Path]] = {}
    for n in range(-margin, (last - first).days + margin + 1):
        day = first + timedelta(days=n)
        path = table.path.format(day=day)
        if files := _expand(path):
            found[day] = files
        elif first <= day <= last:
            raise InputError(
                f"no {name} of {day}", where=path, hint="bring the files of that day, or choose other days"
            )
    return found


def whole(name: str, table: EventTable) -> list[Path]:
    """The files of a path without {day}; raises InputError when there are none."""
    files = _expand(table.path)
    if not files:
        raise InputError("there is no such file", where=table.path, hint=f"fix [source.{name}] path in the run file")
    return files


def read_text(spark: SparkSession, table: EventTable, files: list[Path]) -> DataFrame:
    """Every column as text, and parsing.LINE; raises InputError for files that cannot be used."""
    needed = dict.fromkeys([*table.map.values(), *table.where])
    if table.format == "parquet":
        return read_parquet(spark, files, needed)
    return read_csv(spark, files, needed, table.separator, None if table.header else table.columns)


def _expand(path: str) -> list[Path]:
    """The files of a path, folder or glob; names that begin with _ or . are not data."""
    root = Path(path).anchor
    found = []
    for match in sorted(Path(root or ".").glob(path.removeprefix(root))):
        inside = sorted(match.rglob("*")) if match.is_dir() else [match]
        hidden = {p for p in inside if any(part[0] in "_." for part in p.relative_to(match.parent).parts)}
        found += [p for p in inside if p.is_file() and p not in hidden]
    return found
