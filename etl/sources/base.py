"""What a source gives: the raw tables of a range of days."""

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from etl.contract import BOOKKEEPING, EVENT_TABLES, RAW
from etl.spark.schema import require

HOUR_MS = 3_600_000


@dataclass(frozen=True)
class RawTables:
    """Tables of contract.RAW, each with the columns of contract.BOOKKEEPING.

    Tables of events hold the rows whose `day` lies in the range asked for; it is never null: a row of which no day
    can be told lies on [training] start. `users` and `items` are snapshots and
    may be None where nothing is known. `match` names the columns by which a step finds its impression.
    """

    impressions: DataFrame
    clicks: DataFrame
    actions: DataFrame
    conversions: DataFrame
    users: DataFrame | None
    items: DataFrame | None
    timezone: str = "UTC"
    early_hours: float = 0.0
    match: tuple[str, ...] = ("impression_id",)

    def __post_init__(self) -> None:
        for name, contract in RAW.items():
            if (table := getattr(self, name)) is not None:
                require(table, {**contract, **BOOKKEEPING}, name)

    def events(self) -> dict[str, DataFrame]:
        return {name: getattr(self, name) for name in EVENT_TABLES}

    def snapshots(self) -> dict[str, DataFrame]:
        tables = {"users": self.users, "items": self.items}
        return {name: table for name, table in tables.items() if table is not None}


def plausible(ts: Column) -> Column:
    """Epoch milliseconds before the year 10000, else null: beyond, calendars fail."""
    return F.when(ts.between(0, 253_402_300_799_999), ts)


def day_of(ts: Column, timezone: str) -> Column:
    """The calendar day of epoch milliseconds in a time zone."""
    return F.to_date(F.from_utc_timestamp(F.timestamp_millis(ts), timezone))


def hour_of(ts: Column, timezone: str) -> Column:
    """The hour of the day, '0' to '23', of epoch milliseconds in a time zone."""
    return F.hour(F.from_utc_timestamp(F.timestamp_millis(ts), timezone)).cast("string")


def start_of(day: Column, timezone: str) -> Column:
    """Epoch milliseconds at which a day begins in a time zone."""
    return F.unix_millis(F.to_utc_timestamp(day.cast("timestamp"), timezone))
