"""Sources of raw tables, chosen by [source] kind."""

from datetime import date
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from conf.settings.run_file import Settings
from etl.sources import events, kuairand, simulated
from etl.sources.base import RawTables


def read(spark: SparkSession, settings: Settings, first: date, last: date, margin: int) -> RawTables:
    """The raw tables, with the events of a range of days and of `margin` days around it.

    Raises InputError for files that cannot be used.
    """
    match settings.source.kind:
        case "simulated":
            return simulated.read(spark, settings, first, last, margin)
        case "kuairand":
            return kuairand.read(spark, settings, first, last, margin)
        case "events":
            return events.read(spark, settings, first, last, margin)


def users(spark: SparkSession, settings: Settings) -> DataFrame | None:
    """The users table alone; None where the source knows no more of users than their ids."""
    match settings.source.kind:
        case "simulated":
            return simulated.users(spark, settings)
        case "kuairand":
            return kuairand.users(spark, settings)
        case "events":
            return events.users(spark, settings)


def inputs(settings: Settings, day: date, margin: int) -> list[dict[str, Any]]:
    """What a day and `margin` days around it are read from, for the manifest: path, bytes and sha256 of each file."""
    match settings.source.kind:
        case "simulated":
            return simulated.inputs(settings)
        case "kuairand":
            return kuairand.inputs(settings)
        case "events":
            return events.inputs(settings, day, margin)
