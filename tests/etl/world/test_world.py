"""The simulated world: its rates, true probabilities and dirt, and that a day follows from (seed, day) alone."""

from datetime import date

import numpy as np
import pytest

from conf.settings.source import Simulated
from etl.contract import EVENT_TABLES
from etl.world.day import truth, world_day
from etl.world.logs import raw_day
from etl.world.parameters import DAY_MS, EPOCH, world

DAY = date(2026, 1, 3)
VIDEO = Simulated(kind="simulated", world="video", users=3000, items=600, tags=24, impressions=20_000, seed=7)
SHOP = VIDEO.model_copy(update={"world": "shop", "impressions": 100_000})
MANY = VIDEO.model_copy(update={"domains": 33, "distributions": 4})


def test_video_has_the_rates_of_its_paper():
    shown = world_day(VIDEO, DAY)
    assert shown.click.mean() == pytest.approx(0.41, abs=0.03)
    assert shown.action[shown.click].mean() == pytest.approx(0.04, abs=0.01)
    assert 0 <= shown.conversion.min() < 0.05 < 0.95 < shown.conversion.max() <= 1


def test_shop_has_the_rates_of_its_paper_and_buys_more_after_an_action():
    shown = world_day(SHOP, DAY)
    assert shown.click.mean() == pytest.approx(0.063, abs=0.008)
    assert shown.action[shown.click].mean() == pytest.approx(0.12, abs=0.02)
    assert shown.conversion[shown.click].mean() == pytest.approx(0.011, abs=0.004)
    bought = [shown.conversion[shown.click & shown.action].mean(), shown.conversion[shown.click & ~shown.action].mean()]
    assert bought[0] > 5 * bought[1]


@pytest.mark.parametrize("settings", [VIDEO, SHOP, MANY])
def test_outcomes_follow_the_true_probabilities(settings):
    shown, true = world_day(settings, DAY), truth(settings, DAY)
    assert true["impression_id"].tolist() == shown.impression_id
    for name, of, happened in [
        ("p_click", np.ones_like(shown.click), shown.click),
        ("p_action", shown.click, shown.action),
        ("p_conversion", shown.click, shown.conversion),
        ("p_converted", shown.click, shown.conversion >= 0.5),
    ]:
        # in each fifth of the probabilities the outcome is as frequent as they say, within four standard errors
        for fifth in np.array_split(np.argsort(true[name].to_numpy()), 5):
            rows = fifth[of[fifth]]
            error = max(happened[rows].std(), 0.02) / len(rows) ** 0.5
            assert happened[rows].mean() == pytest.approx(true[name].to_numpy()[rows].mean(), abs=4 * error)


def test_the_tasks_conflict_clicks_and_conversions_favour_different_items():
    true = truth(VIDEO, DAY)
    together = np.corrcoef(true["p_click"], true["p_conversion"])[0, 1]
    assert 0.1 < together < 0.5
    hidden = world(VIDEO)
    assert np.corrcoef(hidden.item_effect["click"], hidden.item_effect["conversion"])[0, 1] < 0.2


def test_taste_is_mostly_explained_by_attributes():
    hidden = world(VIDEO)
    groups = hidden.users.groupby(["age", "gender", "region"]).indices.values()
    taste = hidden.taste["click"][0]
    within = sum(taste[rows].var(axis=0).mean() * len(rows) for rows in groups) / len(taste)
    assert within / taste.var(axis=0).mean() < 0.1


def test_a_day_follows_from_seed_and_day_alone():
    world.cache_clear()
    alone = raw_day(VIDEO, DAY)
    raw_day(VIDEO, date(2026, 1, 2))
    again = raw_day(VIDEO, DAY)
    assert all(alone[name].equals(again[name]) for name in EVENT_TABLES)
    # another seed changes the times of day as well as the users and items
    day, other = (world_day(VIDEO.model_copy(update={"seed": seed}), DAY) for seed in (7, 8))
    assert not np.array_equal(other.ts, day.ts)
    assert not np.array_equal(world_day(VIDEO, date(2026, 1, 2)).ts % DAY_MS, day.ts % DAY_MS)


def test_every_kind_of_dirt_occurs_and_is_rare():
    raw = raw_day(VIDEO, DAY)
    shown, third = raw["impressions"], raw["conversions"]
    rates = {
        "duplicate": shown.duplicated().mean(),
        "null key": shown["user_id"].isna().mean(),
        "wrong day": (shown["ts"] // DAY_MS != (DAY - EPOCH).days).mean(),
        "value outside [0,1]": (third["value"] > 1).mean(),
        "zero duration": (third["refused"] == "zero duration").mean(),
    }
    assert all(0.0003 < rate < 0.01 for rate in rates.values()), rates
