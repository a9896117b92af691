"""The columns of a mapped table: their text to our values."""

from collections.abc import Collection
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from conf.settings.source import Events, EventTable
from etl.contract import EVENT_TABLES
from etl.sources.parsing import LINE
from etl.spark.epoch import hour_of, plausible

NO_DOMAIN, UNKNOWN_DOMAIN = "all", "unknown"
# a time that names its own zone: ...Z, ... UTC, ...+08:00, ... Asia/Shanghai
ZONE = r"\d\s*(Z|UTC|GMT|[+-]\d\d:\d\d|[A-Za-z_]+/[A-Za-z_/]+)$"


def wanted(table: EventTable) -> Column:
    """Whether a row satisfies the table's `where`."""
    return reduce(lambda a, b: a & b, (F.col(c).isin(values) for c, values in table.where.items()), F.lit(True))


def rows_of(rows: DataFrame, source: Events, name: str) -> DataFrame:
    """The rows of one event table. A line that does not parse counts for the first table of its file."""
    table = source.tables()[name]
    earlier = [t.path for n, t in source.tables().items() if n in EVENT_TABLES[: EVENT_TABLES.index(name)]]
    first_of_its_file = F.lit(table.path not in earlier)
    return rows.where(F.when(F.col(LINE).isNull(), wanted(table)).otherwise(first_of_its_file))


def parsed(table: EventTable, source: Events) -> dict[str, Column]:
    """Their column -> its value, null where the text does not parse."""
    values = {table.map["ts"]: _milliseconds(F.col(table.map["ts"]), source)}
    for ours in ("value", "converted"):
        if theirs := table.map.get(ours):
            values[theirs] = F.col(theirs).try_cast("double")
    return values


def _milliseconds(text: Column, source: Events) -> Column:
    """Epoch milliseconds of a time written as text."""
    if source.time != "timestamp":
        unit = 1000 if source.time == "seconds" else 1
        return plausible(F.round(text.try_cast("decimal(30,9)") * unit).try_cast("bigint"))
    spelt = F.regexp_replace(F.trim(text), r"([+-]\d\d)(\d\d)$", "$1:$2")
    instant = spelt.try_cast("timestamp")
    local = F.to_utc_timestamp(instant, source.timezone)
    return plausible(F.unix_millis(F.when(spelt.rlike(ZONE), instant).otherwise(local)))


def impression_columns(columns: dict[str, Column], source: Events) -> dict[str, Column]:
    """Adds what the log may lack: impression_id, domain and hour."""
    columns = dict(columns)
    if source.match == "user_item_time":
        keys = [columns[key].cast("string") for key in ("user_id", "item_id", "ts")]
        complete = reduce(lambda a, b: a & b, (key.isNotNull() for key in keys))
        columns["impression_id"] = F.when(complete, F.concat_ws("-", *keys))
    columns["domain"] = (
        F.coalesce(columns["domain"].cast("string"), F.lit(UNKNOWN_DOMAIN)) if "domain" in columns else F.lit(NO_DOMAIN)
    )
    columns.setdefault("hour", hour_of(columns["ts"], source.timezone))
    return columns


def action_kind(table: EventTable) -> Column:
    """The kind of action of a table that maps none: the event type it is filtered by, or just 'action'."""
    return F.col(next(iter(table.where))) if table.where else F.lit("action")


def conversion_columns(table: EventTable, values: dict[str, Column]) -> dict[str, Column]:
    """`value` and `converted`; a table that maps neither makes every row a conversion of value 1."""
    mapped: dict[str, Column] = {ours: values[table.map[ours]] for ours in ("value", "converted") if ours in table.map}
    if not mapped:
        return {"value": F.lit(1.0), "converted": F.lit(1)}
    if "converted" in mapped:
        mapped["converted"] = (mapped["converted"] > 0).cast("int")
    return {"value": F.lit(None), "converted": F.lit(None), **mapped}


def split_lists(rows: DataFrame, columns: dict[str, Column], lists: Collection[str]) -> dict[str, Column]:
    """Columns that hold several values: text is split at comma or bar."""
    types = dict(rows.select(*(column.alias(c) for c, column in columns.items())).dtypes)
    columns = dict(columns)
    for c in set(lists) & set(columns):
        if not types[c].startswith("array"):
            parts = F.split(F.coalesce(columns[c].cast("string"), F.lit("")), r"\s*[,|]\s*")
            columns[c] = F.filter(parts, lambda part: part != "")
    return columns
