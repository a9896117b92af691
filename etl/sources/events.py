"""Any CSV or Parquet event log, mapped by the run file alone: docs/how-to/your-data.md has worked examples."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import reduce
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from conf.settings.run_file import Feature
from conf.settings.source import Events
from etl.contract import EVENT_TABLES, RAW, SNAPSHOTS, ddl, spark_types
from etl.sources.base import RawTables, raw_schema
from etl.sources.event_columns import (
    action_kind,
    conversion_columns,
    impression_columns,
    parsed,
    rows_of,
    split_lists,
    wanted,
)
from etl.sources.event_files import partitions, read_text, whole
from etl.sources.files import describe_input
from etl.sources.parsing import LINE, refuse_mistyped, refused_and_raw
from etl.spark.epoch import day_of

MATCH = {"impression_id": ("impression_id",), "user_item_time": ("user_id", "item_id")}


@dataclass(frozen=True)
class EventsSource:
    """`start`: the day of rows that name no day. `features` tell which columns hold several values."""

    settings: Events
    start: date
    features: Sequence[Feature]
    feedback = frozenset[str]()  # the run file is refused where it maps feedback among the impressions

    def read(self, spark: SparkSession, first: date, last: date, margin: int) -> RawTables:
        source, around = self.settings, timedelta(days=margin)
        tables = {
            name: self._events(spark, name, first, last, margin)
            .where(F.col("day").between(first - around, last + around))
            .cache()
            for name in EVENT_TABLES
            if name in source.tables()
        }
        if source.implied_clicks:
            tables["clicks"] = self._implied_clicks(tables["impressions"])
        for name in EVENT_TABLES:
            if name not in tables:
                tables[name] = spark.createDataFrame([], ddl(self._with_match(raw_schema(name))))
        return RawTables(
            **tables,
            users=self.users(spark),
            items=self._snapshot(spark, "items"),
            timezone=source.timezone,
            match=MATCH[source.match],
        )

    def users(self, spark: SparkSession) -> DataFrame | None:
        return self._snapshot(spark, "users")

    def inputs(self, day: date, margin: int) -> list[dict[str, Any]]:
        """Every file that can bear on the day, once."""
        found: dict[Path, None] = {}
        for name, table in self.settings.tables().items():
            for paths in partitions(name, table, day, day, margin).values():
                found |= dict.fromkeys(paths)
        return [describe_input(path, str(path)) for path in found]

    def _events(self, spark: SparkSession, name: str, first: date, last: date, margin: int) -> DataFrame:
        source, table = self.settings, self.settings.tables()[name]
        parts = [
            read_text(spark, table, paths).withColumn("_day", F.lit(day).cast("date"))
            for day, paths in partitions(name, table, first, last, margin).items()
        ]
        rows = rows_of(reduce(lambda a, b: a.unionByName(b, allowMissingColumns=True), parts), source, name)
        values = parsed(table, source)
        refuse_mistyped(rows.where(F.col(LINE).isNull()), values, table.path)
        refused, raw = refused_and_raw(rows.drop("_day"), values)
        columns = self._columns(rows, name, values)
        typed = {c: columns[c].cast(kind) for c, kind in spark_types(RAW[name].schema()).items()}
        return _selected(rows, {**columns, **typed, "refused": refused, "raw": raw})

    def _columns(self, rows: DataFrame, name: str, values: dict[str, Column]) -> dict[str, Column]:
        """Our columns of an event table; `values`: as `parsed` gives them."""
        source, table = self.settings, self.settings.tables()[name]
        ts = values[table.map["ts"]]
        mapped = {ours: F.col(theirs) for ours, theirs in table.map.items()}
        mapped |= {"ts": ts, "day": F.coalesce("_day", day_of(ts, source.timezone), F.lit(self.start))}
        if name == "impressions":
            return split_lists(rows, impression_columns(mapped, source), self._lists(name))
        columns = {ours: column for ours, column in mapped.items() if ours in RAW[name].names}
        if source.match == "user_item_time":
            columns |= {"impression_id": F.lit(None), "user_id": mapped["user_id"], "item_id": mapped["item_id"]}
        if name == "actions":
            columns.setdefault("action", action_kind(table))
        if name == "conversions":
            columns |= conversion_columns(table, values)
        return columns

    def _lists(self, name: str) -> set[str]:
        """Columns of a table that hold several values."""
        return {"tags"} | {f.source_column for f in self.features if f.table == name and f.kind == "multi"}

    def _implied_clicks(self, impressions: DataFrame) -> DataFrame:
        """A click for every impression; a malformed row counts as an impression only."""
        return impressions.where("raw is null").select(*self._with_match(raw_schema("clicks")).names)

    def _with_match(self, schema: pa.Schema) -> pa.Schema:
        """Adds the columns by which events find their impression."""
        missing = [name for name in MATCH[self.settings.match] if name not in schema.names]
        return pa.schema([*schema, *((name, pa.string()) for name in missing)])

    def _snapshot(self, spark: SparkSession, name: str) -> DataFrame | None:
        table = self.settings.tables().get(name)
        if table is None:
            return None
        rows = read_text(spark, table, whole(name, table))
        rows = rows.where(F.col(LINE).isNotNull() | wanted(table))
        refused, raw = refused_and_raw(rows, {})
        columns = split_lists(rows, {ours: F.col(theirs) for ours, theirs in table.map.items()}, self._lists(name))
        key = SNAPSHOTS[name]
        return _selected(rows, {**columns, key: columns[key].cast("string"), "refused": refused, "raw": raw})


def _selected(rows: DataFrame, columns: dict[str, Column]) -> DataFrame:
    return rows.select(*(column.alias(name) for name, column in columns.items()))
