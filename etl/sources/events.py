"""Any CSV or Parquet event log, mapped by conf alone: docs/your-data.md has worked examples."""

from datetime import date, timedelta
from functools import reduce
from pathlib import Path
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from conf.errors import InputError
from conf.settings.run_file import Settings
from conf.settings.source import Events, EventTable
from etl.contract import EVENT_TABLES, RAW
from etl.sources import files
from etl.sources.base import RawTables, day_of, hour_of, plausible

MATCH = {"impression_id": ("impression_id",), "user_item_time": ("user_id", "item_id")}
NO_DOMAIN, UNKNOWN_DOMAIN = "all", "unknown"
# a time that says its own zone: ...Z, ... UTC, ...+08:00, ... Asia/Shanghai
ZONE = r"\d\s*(Z|UTC|GMT|[+-]\d\d:\d\d|[A-Za-z_]+/[A-Za-z_/]+)$"


def read(spark: SparkSession, settings: Settings, first: date, last: date, margin: int) -> RawTables:
    """The events of a range of days and `margin` days around it, as far as there are any."""
    source = _source(settings)
    around = timedelta(days=margin)
    tables = {
        name: _events(spark, settings, name, first, last, margin).where(
            F.col("day").between(first - around, last + around)
        )
        for name in EVENT_TABLES
        if name in source.tables()
    }
    tables = {name: table.cache() for name, table in tables.items()}
    if source.implied_clicks:
        tables["clicks"] = _implied(tables["impressions"], source)
    for name in EVENT_TABLES:
        tables.setdefault(name, _none(spark, name, source))
    return RawTables(
        **tables,
        users=users(spark, settings),
        items=_snapshot(spark, settings, "items"),
        timezone=source.timezone,
        match=MATCH[source.match],
    )


def users(spark: SparkSession, settings: Settings) -> DataFrame | None:
    return _snapshot(spark, settings, "users")


def inputs(settings: Settings, day: date, margin: int) -> list[dict[str, Any]]:
    """Every file that can bear on a day, once."""
    found: dict[Path, None] = {}
    for name, table in _source(settings).tables().items():
        for paths in _files(name, table, day, day, margin).values():
            found |= dict.fromkeys(paths)
    return [files.described(path, str(path)) for path in found]


def _source(settings: Settings) -> Events:
    assert isinstance(settings.source, Events)
    return settings.source


def _files(name: str, table: EventTable, first: date, last: date, margin: int) -> dict[date | None, list[Path]]:
    """Partition day -> its files; None: not partitioned. Raises InputError unless every day asked for is there."""
    if "{day" not in table.path:
        paths = _expand(table.path)
        if not paths:
            raise InputError("there is no such file", where=table.path, hint=f"mend [source.{name}] path")
        return {None: paths}
    partitions: dict[date | None, list[Path]] = {}
    for n in range(-margin, (last - first).days + margin + 1):
        day = first + timedelta(days=n)
        place = table.path.format(day=day)
        if paths := _expand(place):
            partitions[day] = paths
        elif first <= day <= last:
            raise InputError(f"no {name} of {day}", where=place, hint="bring that day, or choose other days")
    return partitions


def _expand(place: str) -> list[Path]:
    """The files of a path, folder or glob; names that begin with _ or . are not data."""
    root = Path(place).anchor
    found = []
    for path in sorted(Path(root or ".").glob(place.removeprefix(root))):
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        hidden = {p for p in inside if any(part[0] in "_." for part in p.relative_to(path.parent).parts)}
        found += [p for p in inside if p.is_file() and p not in hidden]
    return found


def _text(spark: SparkSession, table: EventTable, paths: list[Path]) -> DataFrame:
    needed = dict.fromkeys([*table.map.values(), *table.where])
    if table.format == "parquet":
        return files.read_parquet(spark, paths, needed)
    return files.read_csv(spark, paths, needed, table.separator, None if table.header else table.columns)


def _events(spark: SparkSession, settings: Settings, name: str, first: date, last: date, margin: int) -> DataFrame:
    source = _source(settings)
    table = source.tables()[name]
    partitions = _files(name, table, first, last, margin).items()
    parts = [_text(spark, table, paths).withColumn("_day", F.lit(day).cast("date")) for day, paths in partitions]
    rows = _kept(reduce(lambda a, b: a.unionByName(b, allowMissingColumns=True), parts), source, name)
    parsed = _parsed(rows, table, source)
    files.refuse_mistyped(rows.where(F.col(files.LINE).isNull()), parsed, table.path)
    refused, raw = files.refused_and_raw(rows.drop("_day"), parsed)

    ts = parsed[table.map["ts"]]
    day = F.coalesce("_day", day_of(ts, source.timezone), F.lit(settings.training.start))
    columns = {ours: F.col(theirs) for ours, theirs in table.map.items() if ours in RAW[name] or name == "impressions"}
    columns |= {"ts": ts, "day": day}
    if name == "impressions":
        columns = _shown(rows, columns, source, settings)
    elif source.match == "user_item_time":
        columns |= {"impression_id": F.lit(None), "user_id": F.col(table.map["user_id"])}
        columns |= {"item_id": F.col(table.map["item_id"])}
    if name == "actions" and "action" not in table.map:
        columns["action"] = F.col(next(iter(table.where))) if table.where else F.lit("action")
    if name == "conversions":
        columns |= _outcome(table, parsed)
    typed = {c: columns[c].cast(kind) for c, kind in RAW[name].items()}
    return rows.select(
        *(column.alias(c) for c, column in {**columns, **typed}.items()), refused.alias("refused"), raw.alias("raw")
    )


def _kept(rows: DataFrame, source: Events, name: str) -> DataFrame:
    """Rows of this step. A line that could not be read counts for the first table of its file."""
    table = source.tables()[name]
    wanted = reduce(lambda a, b: a & b, (F.col(c).isin(v) for c, v in table.where.items()), F.lit(True))
    before = [t for n, t in source.tables().items() if n in EVENT_TABLES[: EVENT_TABLES.index(name)]]
    broken = F.lit(table.path not in [t.path for t in before])
    return rows.where(F.when(F.col(files.LINE).isNull(), wanted).otherwise(broken))


def _parsed(rows: DataFrame, table: EventTable, source: Events) -> dict[str, Column]:
    """Their column -> its value, null where the text is none."""
    parsed = {table.map["ts"]: _milliseconds(F.col(table.map["ts"]), source)}
    for ours in ("value", "converted"):
        if theirs := table.map.get(ours):
            parsed[theirs] = F.col(theirs).try_cast("double")
    return parsed


def _milliseconds(text: Column, source: Events) -> Column:
    """Epoch milliseconds of a time written as text."""
    if source.time != "timestamp":
        unit = 1000 if source.time == "seconds" else 1
        return plausible(F.round(text.try_cast("decimal(30,9)") * unit).try_cast("bigint"))
    spelt = F.regexp_replace(F.trim(text), r"([+-]\d\d)(\d\d)$", "$1:$2")
    instant = spelt.try_cast("timestamp")
    here = F.to_utc_timestamp(instant, source.timezone)
    return plausible(F.unix_millis(F.when(spelt.rlike(ZONE), instant).otherwise(here)))


def _shown(rows: DataFrame, columns: dict[str, Column], source: Events, settings: Settings) -> dict[str, Column]:
    if source.match == "user_item_time":
        keys = [columns["user_id"].cast("string"), columns["item_id"].cast("string"), columns["ts"].cast("string")]
        whole = reduce(lambda a, b: a & b, (key.isNotNull() for key in keys))
        columns["impression_id"] = F.when(whole, F.concat_ws("-", *keys))
    columns["domain"] = (
        F.coalesce(columns["domain"].cast("string"), F.lit(UNKNOWN_DOMAIN)) if "domain" in columns else F.lit(NO_DOMAIN)
    )
    columns.setdefault("hour", hour_of(columns["ts"], source.timezone))
    return _split(rows, columns, "impressions", settings)


def _outcome(table: EventTable, parsed: dict[str, Column]) -> dict[str, Column]:
    """A conversion's value and whether it counts as one; a row that gives neither is one by being there."""
    named: dict[str, Column] = {o: parsed[table.map[o]] for o in ("value", "converted") if o in table.map}
    if not named:
        return {"value": F.lit(1.0), "converted": F.lit(1)}
    nothing: dict[str, Column] = {"value": F.lit(None), "converted": F.lit(None)}
    if "converted" in named:
        named["converted"] = (named["converted"] > 0).cast("int")
    return nothing | named


def _split(rows: DataFrame, columns: dict[str, Column], name: str, settings: Settings) -> dict[str, Column]:
    """Columns that hold several values: text is split at comma or bar."""
    several = {f.source_column for f in settings.features if f.table == name and f.kind == "multi"}
    types = dict(rows.select(*(column.alias(c) for c, column in columns.items())).dtypes)
    for c in (several | {"tags"}) & set(columns):
        if not types[c].startswith("array"):
            parts = F.split(F.coalesce(columns[c].cast("string"), F.lit("")), r"\s*[,|]\s*")
            columns[c] = F.filter(parts, lambda part: part != "")
    return columns


def _implied(impressions: DataFrame, source: Events) -> DataFrame:
    """A click for every impression; a malformed row counts as an impression only."""
    keys = dict.fromkeys([*RAW["clicks"], *MATCH[source.match]])
    return impressions.where("raw is null").select(*keys, "refused", "raw")


def _none(spark: SparkSession, name: str, source: Events) -> DataFrame:
    kinds = {**RAW[name], **dict.fromkeys(MATCH[source.match], "string"), "refused": "string", "raw": "string"}
    return spark.createDataFrame([], ", ".join(f"{c} {kind}" for c, kind in kinds.items()))


def _snapshot(spark: SparkSession, settings: Settings, name: str) -> DataFrame | None:
    table = _source(settings).tables().get(name)
    if table is None:
        return None
    day = settings.training.start
    rows = _text(spark, table, _files(name, table, day, day, 0)[None])
    wanted = reduce(lambda a, b: a & b, (F.col(c).isin(v) for c, v in table.where.items()), F.lit(True))
    rows = rows.where(F.col(files.LINE).isNotNull() | wanted)
    refused, raw = files.refused_and_raw(rows, {})
    columns = _split(rows, {ours: F.col(theirs) for ours, theirs in table.map.items()}, name, settings)
    key = next(iter(RAW[name]))
    columns[key] = columns[key].cast("string")
    return rows.select(
        *(column.alias(ours) for ours, column in columns.items()), refused.alias("refused"), raw.alias("raw")
    )
