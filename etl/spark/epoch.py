"""Times as columns: epoch milliseconds, and the days and hours they fall into in a time zone."""

from pyspark.sql import Column
from pyspark.sql import functions as F

HOUR_MS = 3_600_000


def plausible(ts: Column) -> Column:
    """Epoch milliseconds from 1970 to 9999, else null: Spark's calendar fails beyond."""
    return F.when(ts.between(0, 253_402_300_799_999), ts)


def day_of(ts: Column, timezone: str) -> Column:
    """The calendar day."""
    return F.to_date(F.from_utc_timestamp(F.timestamp_millis(ts), timezone))


def hour_of(ts: Column, timezone: str) -> Column:
    """The hour of the day as text, '0' to '23'."""
    return F.hour(F.from_utc_timestamp(F.timestamp_millis(ts), timezone)).cast("string")


def start_of(day: Column, timezone: str) -> Column:
    """Epoch milliseconds at which a day begins."""
    return F.unix_millis(F.to_utc_timestamp(day.cast("timestamp"), timezone))
