"""Rows in = rows out + rows quarantined, for every table and day.

The two sides are measured apart: rows in where the source gave them, rows out in the samples (their labels say how
many steps went into them), rows quarantined in the files written.
"""

from collections import Counter, defaultdict
from datetime import date
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from conf.refusal import Refusal
from etl.sources.base import RawTables

# (table, day) -> reason -> rows; reason None: used. Snapshots count for no day.
Accounts = dict[tuple[str, date | None], dict[str | None, int]]


def take(tables: RawTables, impressions: DataFrame, steps: DataFrame, snapshots: dict[str, DataFrame]) -> Accounts:
    """Counts the judged rows by the day they count for, and holds them against the rows the source gave.

    `impressions`, `steps` and `snapshots` carry `reason`; `steps` also `table` and `dt`.
    """
    own, no_day = F.col("day").alias("own"), F.lit(None).cast("date")
    given = [t.groupBy(F.lit(n).alias("table"), own).count() for n, t in tables.events().items()]
    given += [t.groupBy(F.lit(n).alias("table"), no_day.alias("own")).count() for n, t in tables.snapshots().items()]
    of_impressions = impressions.groupBy(F.lit("impressions").alias("table"), own, F.col("day").alias("dt"), "reason")
    judged = [of_impressions.count(), steps.groupBy("table", own, "dt", "reason").count()]
    for name, table in snapshots.items():
        grouped = table.groupBy(F.lit(name).alias("table"), no_day.alias("own"), no_day.alias("dt"), "reason")
        judged.append(grouped.count())
    sides = [(t, "given") for t in given] + [(t, "judged") for t in judged]
    marked = [t.withColumn("side", F.lit(side)) for t, side in sides]
    rows = reduce(lambda a, b: a.unionByName(b, allowMissingColumns=True), marked).collect()
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


def unbalanced(table: str, day: date | None, what: str) -> Refusal:
    return Refusal(
        what,
        where=f"table {table}" + (f", day {day}" if day else ""),
        remedy="this is a fault of the programme, please report it; nothing was published",
    )
