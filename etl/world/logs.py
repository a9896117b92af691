"""The raw logs of the simulated world, with the dirt of real logs.

The dirt is part of the day's randomness: duplicated rows, lost keys, rows of another day, values above 1, videos
without a length, actions without a click. Each kind affects 0.1 to 0.5 % of the rows.
"""

from datetime import date, timedelta

import numpy as np
import pandas as pd

from conf.settings.source import Simulated
from etl.contract import EVENT_TABLES, STAGES
from etl.world.day import Day, world_day
from etl.world.parameters import DAY_MS, EPOCH

ACTIONS = {"video": ("like", "follow"), "shop": ("cart", "wish")}


def raw_day(settings: Simulated, day: date) -> dict[str, pd.DataFrame]:
    """Event tables of the impressions of one day; a click, action or conversion has the day of its own `ts`."""
    shown = world_day(settings, day)
    tables = {"impressions": _impressions(shown, day), **_stages(shown, settings)}
    for name in STAGES:
        days = tables[name]["ts"] // DAY_MS
        tables[name]["day"] = days.map({d: EPOCH + timedelta(days=int(d)) for d in days.unique()})
    return _dirtied(tables, shown.random)


def _impressions(shown: Day, day: date) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "impression_id": np.array(shown.impression_id, dtype=object),
            "user_id": "u" + pd.Series(shown.user).astype(str),
            "item_id": "i" + pd.Series(shown.item).astype(str),
            "ts": shown.ts,
            "day": day,
            "domain": "d" + pd.Series(shown.domain).astype(str),
            "hour": ((shown.ts % DAY_MS) // 3_600_000).astype(str),
        }
    )


def _stages(shown: Day, settings: Simulated) -> dict[str, pd.DataFrame]:
    """Clicks, actions and conversions, half an hour at most after what they follow."""
    random, count = shown.random, len(shown.ts)
    identifier = np.array(shown.impression_id, dtype=object)
    click_ts = shown.ts + random.integers(1_000, 1_800_000, count)
    action_ts = click_ts + random.integers(1_000, 1_800_000, count)
    stray = ~shown.click & (random.random(count) < 0.001)
    acted = shown.action | stray
    # in `video` every click is watched for some share; in `shop` only purchases leave a row
    converted = shown.click if settings.world == "video" else shown.click & (shown.conversion > 0)
    kinds = random.choice(ACTIONS[settings.world], count, p=[0.8, 0.2])
    clicks = pd.DataFrame({"impression_id": identifier, "ts": click_ts})
    actions = pd.DataFrame({"impression_id": identifier, "ts": action_ts, "action": kinds})
    conversions = pd.DataFrame(
        {"impression_id": identifier, "ts": action_ts, "value": shown.conversion, "converted": None}
    )
    return {"clicks": clicks[shown.click], "actions": actions[acted], "conversions": conversions[converted]}


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
