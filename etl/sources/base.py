"""What a source is, and the raw tables that it gives."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from etl.contract import BOOKKEEPING, EVENT_TABLES, RAW, SNAPSHOTS
from etl.spark.schema import require


@dataclass(frozen=True)
class RawTables:
    """The tables of contract.RAW, each with the columns of contract.BOOKKEEPING.

    Event tables hold the rows of the days that were read. `day` is never null: a row that names no day lies on
    [training] start. `users` and `items` are snapshots, None where the source has none. `match`: the columns by which
    a click, action or conversion finds its impression. `early_tolerance_hours`: hours by which `ts` may precede `day`.
    """

    impressions: DataFrame
    clicks: DataFrame
    actions: DataFrame
    conversions: DataFrame
    users: DataFrame | None
    items: DataFrame | None
    timezone: str = "UTC"
    early_tolerance_hours: float = 0.0
    match: tuple[str, ...] = ("impression_id",)

    def __post_init__(self) -> None:
        for name, table in {**self.events(), **self.snapshots()}.items():
            require(table, raw_schema(name), name)

    def events(self) -> dict[str, DataFrame]:
        return {name: getattr(self, name) for name in EVENT_TABLES}

    def snapshots(self) -> dict[str, DataFrame]:
        tables = {name: getattr(self, name) for name in SNAPSHOTS}
        return {name: table for name, table in tables.items() if table is not None}


def raw_schema(name: str) -> pa.Schema:
    """The columns that every source gives of a raw table."""
    return pa.schema([*RAW[name].schema(), *BOOKKEEPING.schema()])


class Source(Protocol):
    """Maps somebody's data onto the raw tables. Every method raises InputError for files that cannot be used."""

    @property
    def feedback(self) -> frozenset[str]:
        """Columns that are known only after the impression, so that no feature may use them."""

    def read(self, spark: SparkSession, first: date, last: date, margin: int) -> RawTables:
        """The raw tables, with the events of the days from first to last and of `margin` days around them."""

    def users(self, spark: SparkSession) -> DataFrame | None:
        """The users table alone; None where the source knows users by their ids only."""

    def inputs(self, day: date, margin: int) -> list[dict[str, Any]]:
        """What a day and `margin` days around it are read from, e.g. path, bytes and sha256 of each file."""
