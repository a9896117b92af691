"""The official CSVs of KuaiRand-Pure (Gao et al., CIKM 2022): one wide log row an impression.

`date` is the day a row lies in; `time_ms`, by which rows are ordered, runs up to early_hours before it. The month's
statistics per video are not read: they know the future.
"""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from conf.errors import InputError
from conf.settings.run_file import Settings
from conf.settings.source import KuaiRand
from etl.sources import files
from etl.sources.base import RawTables, day_of, plausible

LOGS = "log_standard_*_pure.csv"
USERS = "user_features_pure.csv"
ITEMS = "video_features_basic_pure.csv"
ACTIONS = {"is_like": "like", "is_follow": "follow", "is_comment": "comment", "is_forward": "forward"}
FLAGS = ["is_click", "long_view", *ACTIONS]
NUMBERS = ["date", "hourmin", "time_ms", "play_time_ms", "duration_ms", *FLAGS]
# a row without these tells neither where it belongs nor what happened
REQUIRED = ["date", "play_time_ms", "duration_ms", *FLAGS]


def read(spark: SparkSession, settings: Settings, first: date, last: date, margin: int) -> RawTables:
    source = _source(settings)
    text = files.read_csv(spark, _logs(source.path), ["user_id", "video_id", "tab", *NUMBERS])
    parsed = {name: F.col(name).try_cast("bigint") for name in NUMBERS}
    parsed |= {"date": _date(F.col("date")), "time_ms": plausible(parsed["time_ms"])}
    files.refuse_mistyped(text.where(F.col(files.LINE).isNull()), parsed, source.path / LOGS)
    around = timedelta(days=margin)
    rows = _rows(text, parsed, settings).where(F.col("day").between(first - around, last + around)).cache()
    good = rows.where("refused is null")
    return RawTables(
        impressions=_impressions(rows),
        clicks=_bookkept(good.where("is_click = 1").select("impression_id", "ts", "day")),
        actions=_actions(good),
        conversions=_conversions(good),
        users=_snapshot(spark, source.path / USERS, "user_id"),
        items=_items(spark, source.path / ITEMS),
        timezone=source.timezone,
        early_hours=source.early_hours,
    )


def users(spark: SparkSession, settings: Settings) -> DataFrame:
    source = _source(settings)
    _logs(source.path)
    return _snapshot(spark, source.path / USERS, "user_id")


def inputs(settings: Settings) -> list[dict[str, Any]]:
    folder = _source(settings).path
    return [files.described(path, path.name) for path in [*_logs(folder), folder / USERS, folder / ITEMS]]


def _source(settings: Settings) -> KuaiRand:
    assert isinstance(settings.source, KuaiRand)
    return settings.source


def _logs(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(
            "there is no such folder", where=folder, hint="set [source] path or SPARSETAG_SOURCE__PATH to the CSVs"
        )
    logs = sorted(folder.glob(LOGS))
    for path in [*(logs or [folder / LOGS]), folder / USERS, folder / ITEMS]:
        if (not path.is_file() and not logs) or not path.exists():
            raise InputError("there is no such file", where=path, hint="put the official CSVs of KuaiRand-Pure there")
    return logs


def _date(text: Column) -> Column:
    return F.try_to_timestamp(text, F.lit("yyyyMMdd")).cast("date")


def _rows(text: DataFrame, parsed: dict[str, Column], settings: Settings) -> DataFrame:
    """The wide log with types; a row that tells no day lies on the day of its time, or on the first day."""
    refused, raw = files.refused_and_raw(text, parsed, REQUIRED)
    source = _source(settings)
    identifier = F.concat_ws("-", "user_id", "video_id", "time_ms")
    whole = F.col("user_id").isNotNull() & F.col("video_id").isNotNull() & F.col("time_ms").isNotNull()
    day = F.coalesce(parsed["date"], day_of(parsed["time_ms"], source.timezone), F.lit(settings.training.start))
    return text.select(
        F.when(whole, identifier).alias("impression_id"),
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


def _bookkept(table: DataFrame, refused: Column | None = None) -> DataFrame:
    nothing = F.lit(None).cast("string")
    return table.withColumns({"refused": nothing if refused is None else refused, "raw": nothing})


def _impressions(rows: DataFrame) -> DataFrame:
    seconds = F.when(F.col("duration_ms") > 0, F.col("duration_ms") / 1000)
    kept = ["impression_id", "user_id", "item_id", "ts", "day", "domain", "hour"]
    return rows.select(*kept, seconds.alias("duration_s"), "refused", "raw")


def _actions(rows: DataFrame) -> DataFrame:
    kinds = F.array(*(F.when(F.col(column) == 1, F.lit(name)) for column, name in ACTIONS.items()))
    exploded = rows.select("impression_id", "ts", "day", F.explode(kinds).alias("action"))
    return _bookkept(exploded.where("action is not null"))


def _conversions(rows: DataFrame) -> DataFrame:
    """Share watched, at most 1; `converted` is the log's own long_view."""
    watched = rows.where("is_click = 1 or long_view = 1")
    share = F.when(F.col("duration_ms") > 0, F.least(F.lit(1.0), F.col("play_time_ms") / F.col("duration_ms")))
    no_length = F.when(F.col("duration_ms") <= 0, F.lit("zero duration"))
    table = watched.select(
        "impression_id",
        "ts",
        "day",
        share.alias("value"),
        (F.col("long_view") == 1).cast("int").alias("converted"),
        no_length.alias("_refused"),
    )
    return _bookkept(table, F.col("_refused")).drop("_refused")


def _snapshot(spark: SparkSession, path: Path, key: str) -> DataFrame:
    text = files.read_csv(spark, [path], [key])
    refused, raw = files.refused_and_raw(text, {})
    return text.select(*(c for c in text.columns if c != files.LINE), refused.alias("refused"), raw.alias("raw"))


def _items(spark: SparkSession, path: Path) -> DataFrame:
    videos = _snapshot(spark, path, "video_id")
    if "tag" not in videos.columns:
        raise InputError("no column tag", where=path, hint="put the official file there")
    tags = F.filter(F.split(F.coalesce("tag", F.lit("")), r"\s*,\s*"), lambda tag: tag != "")
    return videos.withColumnRenamed("video_id", "item_id").withColumn("tags", tags).drop("tag")
