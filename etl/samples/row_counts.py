"""Rows in = rows out + rows quarantined, for every table and day.

The two sides are measured independently: rows in where the source gave them, rows out in the samples (their labels
tell how many events went into them), rows quarantined in the files written.
"""

from collections import Counter, defaultdict
from datetime import date
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from conf.errors import InputError
from etl.sources.base import RawTables

# (table, day) -> reason -> rows; reason None: used. Snapshots belong to no day
RowCounts = dict[tuple[str, date | None], dict[str | None, int]]


def count_rows(
    tables: RawTables, impressions: DataFrame, events: DataFrame, snapshots: dict[str, DataFrame]
) -> RowCounts:
    """Counts the judged rows by the day they count for; raises InputError when the source gave more or fewer.

    `impressions`, `events` (clicks, actions and conversions) and `snapshots` have `reason`; `events` also has `table`
    and `dt`.
    """
    no_day = F.lit(None).cast("date")

    def marked(side: str, rows: DataFrame, table: Column, own: Column, dt: Column, reason: Column) -> DataFrame:
        columns = {"side": F.lit(side), "table": table, "own": own, "dt": dt, "reason": reason}
        return rows.select(*(column.alias(name) for name, column in columns.items()))

    day, reason, nothing = F.col("day"), F.col("reason"), F.lit(None).cast("string")
    sides = [marked("given", t, F.lit(name), day, no_day, nothing) for name, t in tables.events().items()]
    sides += [marked("given", t, F.lit(name), no_day, no_day, nothing) for name, t in tables.snapshots().items()]
    sides.append(marked("judged", impressions, F.lit("impressions"), day, day, reason))
    sides.append(marked("judged", events, F.col("table"), day, F.col("dt"), reason))
    sides += [marked("judged", t, F.lit(name), no_day, no_day, reason) for name, t in snapshots.items()]
    rows = reduce(DataFrame.unionByName, sides).groupBy("side", "table", "own", "dt", "reason").count().collect()
    _compare(rows)
    counts: RowCounts = defaultdict(Counter)
    for row in rows:
        if row["side"] == "judged":
            counts[row["table"], row["dt"]][row["reason"]] += row["count"]
    return counts


def _compare(rows: list[Any]) -> None:
    sides: dict[str, Counter[tuple[str, date | None]]] = {"given": Counter(), "judged": Counter()}
    for row in rows:
        sides[row["side"]][row["table"], row["own"]] += row["count"]
    for table, day in {**sides["given"], **sides["judged"]}:
        given, judged = sides["given"][table, day], sides["judged"][table, day]
        if given != judged:
            raise _unbalanced(table, day, f"{given} rows read, but {judged} judged")


def refused(counts: RowCounts, table: str, day: date | None) -> dict[str, int]:
    """Reason -> rows."""
    return {reason: n for reason, n in sorted(counts[table, day].items(), key=str) if reason is not None}


def check_balance(table: str, day: date, rows_in: int, rows_out: int, quarantined: int) -> None:
    """Raises InputError unless every row that came in either went out or lies in quarantine."""
    if rows_in != rows_out + quarantined:
        raise _unbalanced(table, day, f"{rows_in} rows in, but {rows_out} out and {quarantined} quarantined")


def _unbalanced(table: str, day: date | None, what: str) -> InputError:
    where = f"table {table}, day {day}" if day else f"table {table}"
    return InputError(what, where=where, hint="this is a bug in sparsetag, please report it; nothing was published")
