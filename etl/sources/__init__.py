"""Sources of raw tables, chosen by [source] kind."""

from datetime import date
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from conf.settings import Settings
from etl.sources import kuairand, simulated
from etl.sources.base import RawTables


def read(spark: SparkSession, settings: Settings, first: date, last: date) -> RawTables:
    """The raw tables with the events of a range of days; raises Refusal for files that cannot be used."""
    match settings.source.kind:
        case "simulated":
            return simulated.read(spark, settings, first, last)
        case "kuairand":
            return kuairand.read(spark, settings, first, last)
        case _:
            raise NotImplementedError(settings.source.kind)


def users(spark: SparkSession, settings: Settings) -> DataFrame | None:
    """The users table alone; None where the source knows no more of users than their ids."""
    match settings.source.kind:
        case "simulated":
            return simulated.users(spark, settings)
        case "kuairand":
            return kuairand.users(spark, settings)
        case _:
            raise NotImplementedError(settings.source.kind)


def inputs(settings: Settings, first: date, last: date) -> list[dict[str, Any]]:
    """What a range of days is read from, for its manifest: path, bytes and sha256 of each file."""
    match settings.source.kind:
        case "simulated":
            return simulated.inputs(settings)
        case "kuairand":
            return kuairand.inputs(settings)
        case _:
            raise NotImplementedError(settings.source.kind)
