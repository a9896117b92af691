"""Rows in = rows out + rows quarantined, for every table and day.

The two sides are measured apart: rows in where the source gave them, rows out in the samples (their labels say how
many steps went into them), rows quarantined in the files written.
"""

from collections import Counter, defaultdict
from datetime import date
from functools import reduce
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from conf.errors import InputError
from etl.sources.base import RawTables

# (table, day) -> reason -> rows; reason None: used. Snapshots count for no day.
Accounts = dict[tuple[str, date | None], dict[str | None, int]]


def take(tables: RawTables, impressions: DataFrame, steps: DataFrame, snapshots: dict[str, DataFrame]) -> Accounts:
    """Counts the judged rows by the day they count for, and holds them against the rows the source gave.

    `impressions`, `steps` and `snapshots` carry `reason`; `steps` also `table` and `dt`.
    """
    no_day = F.lit(None).cast("date")

    def marked(side: str, rows: DataFrame, table: Column, own: Column, dt: Column, reason: Column) -> DataFrame:
        columns = {"side": F.lit(side), "table": table, "own": own, "dt": dt, "reason": reason}
        return rows.select(*(column.alias(name) for name, column in columns.items()))

    day, reason, nothing = F.col("day"), F.col("reason"), F.lit(None).cast("string")
    sides = [marked("given", t, F.lit(name), day, no_day, nothing) for name, t in tables.events().items()]
    sides += [marked("given", t, F.lit(name), no_day, no_day, nothing) for name, t in tables.snapshots().items()]
    sides.append(marked("judged", impressions, F.lit("impressions"), day, day, reason))
    sides.append(marked("judged", steps, F.col("table"), day, F.col("dt"), reason))
    sides += [marked("judged", t, F.lit(name), no_day, no_day, reason) for name, t in snapshots.items()]
    rows = reduce(DataFrame.unionByName, sides).groupBy("side", "table", "own", "dt", "reason").count().collect()
    _compare(rows)
    accounts: Accounts = defaultdict(Counter)
    for row in rows:
        if row["side"] == "judged":
            accounts[row["table"], row["dt"]][row["reason"]] += row["count"]
    return accounts


def _compare(rows: list[Any]) -> None:
    sides: dict[str, Counter[tuple[str, date | None]]] = {"given": Counter(), "judged": Counter()}
    for row in rows:
        sides[row["side"]][row["table"], row["own"]] += row["count"]
    for table, day in {**sides["given"], **sides["judged"]}:
        given, judged = sides["given"][table, day], sides["judged"][table, day]
        if given != judged:
            raise unbalanced(table, day, f"{given} rows read, but {judged} judged")


def refused(accounts: Accounts, table: str, day: date | None) -> dict[str, int]:
    return {reason: n for reason, n in sorted(accounts[table, day].items(), key=str) if reason is not None}


def balance(table: str, day: date, rows_in: int, rows_out: int, quarantined: int) -> None:
    """Raises unless every row that came in either went out or lies in quarantine."""
    if rows_in != rows_out + quarantined:
        raise unbalanced(table, day, f"{rows_in} rows in, but {rows_out} out and {quarantined} quarantined")


def unbalanced(table: str, day: date | None, what: str) -> InputError:
    return InputError(
        what,
        where=f"table {table}" + (f", day {day}" if day else ""),
        hint="this is a fault of the programme, please report it; nothing was published",
    )
