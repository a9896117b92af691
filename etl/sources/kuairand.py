"""The official CSVs of KuaiRand-Pure (Gao et al., CIKM 2022): one wide log row per impression.

`date` is the day of a row; `time_ms`, which orders the rows, may precede it by up to `early_tolerance_hours`. The
monthly statistics of each video are not read: they know the future.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from conf.errors import InputError
from conf.settings.source import KuaiRand
from etl.sources.base import RawTables
from etl.sources.files import describe_input, read_csv
from etl.sources.parsing import LINE, refuse_mistyped, refused_and_raw
from etl.spark.epoch import day_of, plausible

LOGS = "log_standard_*_pure.csv"
USERS = "user_features_pure.csv"
ITEMS = "video_features_basic_pure.csv"
ACTIONS = {"is_like": "like", "is_follow": "follow", "is_comment": "comment", "is_forward": "forward"}
FLAGS = ["is_click", "long_view", *ACTIONS]
NUMBERS = ["date", "hourmin", "time_ms", "play_time_ms", "duration_ms", *FLAGS]
# without these a row tells neither its day nor what happened
REQUIRED = ["date", "play_time_ms", "duration_ms", *FLAGS]


@dataclass(frozen=True)
class KuaiRandSource:
    """`start`: the day of rows that name no day."""

    settings: KuaiRand
    start: date
    feedback = frozenset(["play_time_ms", *FLAGS])

    def read(self, spark: SparkSession, first: date, last: date, margin: int) -> RawTables:
        folder = self.settings.path
        text = read_csv(spark, _logs(folder), ["user_id", "video_id", "tab", *NUMBERS])
        parsed = {name: F.col(name).try_cast("bigint") for name in NUMBERS}
        parsed |= {"date": _date(F.col("date")), "time_ms": plausible(parsed["time_ms"])}
        refuse_mistyped(text.where(F.col(LINE).isNull()), parsed, folder / LOGS)
        around = timedelta(days=margin)
        rows = self._rows(text, parsed).where(F.col("day").between(first - around, last + around)).cache()
        good = rows.where("refused is null")
        return RawTables(
            impressions=_impressions(rows),
            clicks=_not_refused(good.where("is_click = 1").select("impression_id", "ts", "day")),
            actions=_actions(good),
            conversions=_conversions(good),
            users=_snapshot(spark, folder / USERS, "user_id"),
            items=_items(spark, folder / ITEMS),
            timezone=self.settings.timezone,
            early_tolerance_hours=self.settings.early_tolerance_hours,
        )

    def users(self, spark: SparkSession) -> DataFrame:
        _logs(self.settings.path)
        return _snapshot(spark, self.settings.path / USERS, "user_id")

    def inputs(self, day: date, margin: int) -> list[dict[str, Any]]:
        """All files: a log file holds many days."""
        folder = self.settings.path
        return [describe_input(path, path.name) for path in [*_logs(folder), folder / USERS, folder / ITEMS]]

    def _rows(self, text: DataFrame, parsed: dict[str, Column]) -> DataFrame:
        """The wide log with types. A row without a date lies on the day of its time, or on the first day."""
        refused, raw = refused_and_raw(text, parsed, REQUIRED)
        identifier = F.concat_ws("-", "user_id", "video_id", "time_ms")
        complete = F.col("user_id").isNotNull() & F.col("video_id").isNotNull() & F.col("time_ms").isNotNull()
        day = F.coalesce(parsed["date"], day_of(parsed["time_ms"], self.settings.timezone), F.lit(self.start))
        return text.select(
            F.when(complete, identifier).alias("impression_id"),
            "user_id",
            F.col("video_id").alias("item_id"),
            parsed["time_ms"].alias("ts"),
            day.alias("day"),
            F.coalesce("tab", F.lit("unknown")).alias("domain"),
            (parsed["hourmin"] / 100).try_cast("int").cast("string").alias("hour"),
            *(parsed[name].alias(name) for name in ["play_time_ms", "duration_ms", *FLAGS]),
            refused.alias("refused"),
            raw.alias("raw"),
        )


def _logs(folder: Path) -> list[Path]:
    """The log files; raises InputError when the folder or one of its files is missing."""
    if not folder.is_dir():
        raise InputError(
            "there is no such folder", where=folder, hint="set [source] path or SPARSETAG_SOURCE__PATH to the CSVs"
        )
    logs = sorted(folder.glob(LOGS))
    for path in [*(logs or [folder / LOGS]), folder / USERS, folder / ITEMS]:
        if not path.is_file():
            raise InputError("there is no such file", where=path, hint="put the official CSVs of KuaiRand-Pure there")
    return logs


def _date(text: Column) -> Column:
    return F.try_to_timestamp(text, F.lit("yyyyMMdd")).cast("date")


def _not_refused(table: DataFrame) -> DataFrame:
    nothing = F.lit(None).cast("string")
    return table.withColumns({"refused": nothing, "raw": nothing})


def _impressions(rows: DataFrame) -> DataFrame:
    seconds = F.when(F.col("duration_ms") > 0, F.col("duration_ms") / 1000)
    kept = ["impression_id", "user_id", "item_id", "ts", "day", "domain", "hour"]
    return rows.select(*kept, seconds.alias("duration_s"), "refused", "raw")


def _actions(rows: DataFrame) -> DataFrame:
    kinds = F.array(*(F.when(F.col(column) == 1, F.lit(name)) for column, name in ACTIONS.items()))
    exploded = rows.select("impression_id", "ts", "day", F.explode(kinds).alias("action"))
    return _not_refused(exploded.where("action is not null"))


def _conversions(rows: DataFrame) -> DataFrame:
    """`value`: the share watched, at most 1; `converted`: the log's own long_view."""
    watched = rows.where("is_click = 1 or long_view = 1")
    share = F.when(F.col("duration_ms") > 0, F.least(F.lit(1.0), F.col("play_time_ms") / F.col("duration_ms")))
    return watched.select(
        "impression_id",
        "ts",
        "day",
        share.alias("value"),
        (F.col("long_view") == 1).cast("int").alias("converted"),
        F.when(F.col("duration_ms") <= 0, F.lit("zero duration")).alias("refused"),
        F.lit(None).cast("string").alias("raw"),
    )


def _snapshot(spark: SparkSession, path: Path, key: str) -> DataFrame:
    text = read_csv(spark, [path], [key])
    refused, raw = refused_and_raw(text, {})
    return text.select(*(c for c in text.columns if c != LINE), refused.alias("refused"), raw.alias("raw"))


def _items(spark: SparkSession, path: Path) -> DataFrame:
    videos = _snapshot(spark, path, "video_id")
    if "tag" not in videos.columns:
        raise InputError("no column tag", where=path, hint="put the official file of KuaiRand-Pure there")
    tags = F.filter(F.split(F.coalesce("tag", F.lit("")), r"\s*,\s*"), lambda tag: tag != "")
    return videos.withColumnRenamed("video_id", "item_id").withColumn("tags", tags).drop("tag")
