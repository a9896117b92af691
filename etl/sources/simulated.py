"""The simulated world as raw tables, with the dirt that real logs have.

Dirt is part of the day's randomness: duplicated rows, keys lost, rows of another day, watch ratios above 1, videos of
no length, actions without a click. Each happens to 0.1 to 0.5 % of rows.
"""

from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession

from conf.errors import InputError
from conf.settings.run_file import Settings
from conf.settings.source import Simulated
from etl.contract import BOOKKEEPING, EVENT_TABLES
from etl.sources import world
from etl.sources.base import RawTables
from etl.sources.world import DAY_MS, EPOCH

FIRST_DAY = date(2000, 1, 1)
ACTIONS = {"video": ("like", "follow"), "shop": ("cart", "wish")}
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


def read(spark: SparkSession, settings: Settings, first: date, last: date, margin: int) -> RawTables:
    """The events of a range of days and `margin` days around it. Raises InputError before 2000-01-01."""
    source = settings.source
    assert isinstance(source, Simulated)
    if first < FIRST_DAY:
        raise InputError(f"the world begins on {FIRST_DAY}", where=f"day {first}", hint="choose a later day")
    first, last = max(FIRST_DAY, first - timedelta(days=margin)), last + timedelta(days=margin)
    # steps that follow an impression after midnight lie in the next day
    shown = [raw_day(source, first + timedelta(days=n)) for n in range(-1, (last - first).days + 1)]
    events = {name: pd.concat([tables[name] for tables in shown], ignore_index=True) for name in EVENT_TABLES}
    inside = {name: table[(table["day"] >= first) & (table["day"] <= last)] for name, table in events.items()}
    hidden = world.world(source)
    inside["users"], inside["items"] = hidden.users, hidden.items
    frames = {name: _frame(spark, table, SCHEMA[name]) for name, table in inside.items()}
    return RawTables(**frames)


def users(spark: SparkSession, settings: Settings) -> DataFrame:
    assert isinstance(settings.source, Simulated)
    return _frame(spark, world.world(settings.source).users, SCHEMA["users"])


def inputs(settings: Settings) -> list[dict[str, Any]]:
    """The world's settings stand for what was read."""
    return [settings.source.model_dump(mode="json")]


def _frame(spark: SparkSession, table: pd.DataFrame, schema: str) -> DataFrame:
    table = table.assign(**{name: None for name in BOOKKEEPING if name not in table.columns})
    schema += "".join(f", {name} {kind}" for name, kind in BOOKKEEPING.items())
    columns = [part.split()[0] for part in schema.split(", ")]
    return spark.createDataFrame(table[columns], schema)


def raw_day(settings: Simulated, which: date) -> dict[str, pd.DataFrame]:
    """Raw tables of the impressions shown on one day; a step carries the day its own ts falls into."""
    shown = world.day(settings, which)
    random = shown.random
    identifier = np.array(shown.impression_id, dtype=object)
    impressions = pd.DataFrame(
        {
            "impression_id": identifier,
            "user_id": "u" + pd.Series(shown.user).astype(str),
            "item_id": "i" + pd.Series(shown.item).astype(str),
            "ts": shown.ts,
            "day": which,
            "domain": "d" + pd.Series(shown.domain).astype(str),
            "hour": ((shown.ts % DAY_MS) // 3_600_000).astype(str),
        }
    )
    click_ts = shown.ts + random.integers(1_000, 1_800_000, len(shown.ts))
    action_ts = click_ts + random.integers(1_000, 1_800_000, len(shown.ts))
    stray = ~shown.click & (random.random(len(shown.ts)) < 0.001)
    acted = shown.action | stray
    # in `video` every click is watched for some share; in `shop` only purchases leave a row
    third = shown.click if settings.world == "video" else shown.click & (shown.conversion > 0)
    tables = {
        "impressions": impressions,
        "clicks": pd.DataFrame({"impression_id": identifier, "ts": click_ts})[shown.click],
        "actions": pd.DataFrame(
            {
                "impression_id": identifier,
                "ts": action_ts,
                "action": random.choice(ACTIONS[settings.world], len(shown.ts), p=[0.8, 0.2]),
            }
        )[acted],
        "conversions": pd.DataFrame(
            {"impression_id": identifier, "ts": action_ts, "value": shown.conversion, "converted": None}
        )[third],
    }
    for name in EVENT_TABLES[1:]:
        days = tables[name]["ts"] // DAY_MS
        tables[name]["day"] = days.map({d: EPOCH + timedelta(days=int(d)) for d in days.unique()})
    return _dirtied(tables, random)


def _dirtied(tables: dict[str, pd.DataFrame], random: np.random.Generator) -> dict[str, pd.DataFrame]:
    def some(table: pd.DataFrame, share: float) -> "pd.Series[bool]":
        return pd.Series(random.random(len(table)) < share, index=table.index)

    impressions, conversions = tables["impressions"], tables["conversions"]
    impressions.loc[some(impressions, 0.001), "user_id"] = None
    impressions.loc[some(impressions, 0.001), "ts"] += 3 * DAY_MS
    conversions.loc[some(conversions, 0.003), "value"] += 1.5
    no_length = some(conversions, 0.002)
    conversions["refused"] = no_length.map({True: "zero duration", False: None})
    conversions.loc[no_length, "value"] = None
    for name, share in zip(EVENT_TABLES, (0.005, 0.003, 0.003, 0.003), strict=True):
        table = tables[name]
        tables[name] = pd.concat([table, table[some(table, share)]], ignore_index=True)
    return tables
