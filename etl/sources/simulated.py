"""The simulated world as a source of raw tables."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame, SparkSession

from conf.errors import InputError
from conf.settings.source import Simulated
from etl.contract import BOOKKEEPING, EVENT_TABLES, ddl
from etl.sources.base import RawTables
from etl.world.logs import raw_day
from etl.world.parameters import world

FIRST_DAY = date(2000, 1, 1)
SCHEMA = {
    "impressions": (
        "impression_id string, user_id string, item_id string, ts bigint, day date, domain string, hour string"
    ),
    "clicks": "impression_id string, ts bigint, day date",
    "actions": "impression_id string, ts bigint, day date, action string",
    "conversions": "impression_id string, ts bigint, day date, value double, converted int",
    "users": "user_id string, age string, gender string, region string",
    "items": "item_id string, author_id string, tags array<string>, duration_s double",
}


@dataclass(frozen=True)
class SimulatedSource:
    settings: Simulated
    feedback = frozenset[str]()  # its impressions tell nothing of what follows

    def read(self, spark: SparkSession, first: date, last: date, margin: int) -> RawTables:
        """Raises InputError before 2000-01-01."""
        if first < FIRST_DAY:
            raise InputError(f"the world begins on {FIRST_DAY}", where=f"day {first}", hint="choose a later day")
        first, last = max(FIRST_DAY, first - timedelta(days=margin)), last + timedelta(days=margin)
        # what follows an impression after midnight lies in the next day
        days = [raw_day(self.settings, first + timedelta(days=n)) for n in range(-1, (last - first).days + 1)]
        events = {name: pd.concat([day[name] for day in days], ignore_index=True) for name in EVENT_TABLES}
        tables = {name: table[(table["day"] >= first) & (table["day"] <= last)] for name, table in events.items()}
        hidden = world(self.settings)
        tables["users"], tables["items"] = hidden.users, hidden.items
        return RawTables(**{name: _frame(spark, table, name) for name, table in tables.items()})

    def users(self, spark: SparkSession) -> DataFrame:
        return _frame(spark, world(self.settings).users, "users")

    def inputs(self, day: date, margin: int) -> list[dict[str, Any]]:
        """The world's settings: everything follows from them."""
        return [self.settings.model_dump(mode="json")]


def _frame(spark: SparkSession, table: pd.DataFrame, name: str) -> DataFrame:
    table = table.assign(**{column: None for column in BOOKKEEPING.names if column not in table.columns})
    columns = [part.split()[0] for part in SCHEMA[name].split(", ")] + BOOKKEEPING.names
    return spark.createDataFrame(table[columns], f"{SCHEMA[name]}, {ddl(BOOKKEEPING.schema())}")
