"""The simulated world in numpy: users, items, and the hidden parameters behind every probability.

Everything follows from (seed, world, sizes). Age, gender and region explain most of a user's taste over tags; a small
part is the user's own. Items differ in tags, author, duration, quality and bait. Bait makes the tasks conflict: it
attracts clicks and spoils what follows them.

`video` has the rates of LT4REC's data (click 0.41, conversion = share watched), `shop` those of ESM2's (click 0.063,
action 0.12 of clicks, purchase 0.011 of clicks, more often after an action).
"""

from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit  # type: ignore[import-untyped]

from conf.settings.source import Simulated

AGES, GENDERS, REGIONS, TAGS_AN_ITEM = 6, 2, 8, 3
TRAFFIC = (0.5, 0.35, 0.15)  # share of each domain
DOMAINS = len(TRAFFIC)
DAY_MS = 86_400_000
EPOCH = date(1970, 1, 1)
RATES = {
    "video": {"click": 0.41, "action": 0.04, "conversion": 0.55},
    "shop": {"click": 0.063, "action": 0.12, "conversion": 0.011},
}
STAGES = ("click", "action", "conversion")
# shop: how much likelier a purchase is after a click and an action than after a click alone
ACTION_LIFT = 14.0

Floats = Any  # numpy array


@dataclass(frozen=True)
class World:
    """Attributes and hidden parameters; row n of `users` and `items` is user and item n."""

    users: pd.DataFrame
    items: pd.DataFrame
    taste: dict[str, Floats]  # stage -> [users, tags]
    item_tags: Floats  # [items, tags], rows sum to 1
    item_effect: dict[str, Floats]  # stage -> [items]
    domain_effect: Floats  # [domains]
    popularity: Floats  # [items], sums to 1
    activity: Floats  # [users], sums to 1
    intercept: dict[str, float]  # stage -> logit


@lru_cache(maxsize=4)
def world(settings: Simulated) -> World:
    """The world of these settings, its intercepts calibrated to the rates of RATES."""
    random = np.random.default_rng([settings.seed, 1])
    users, attributes = _users(random, settings.users)
    items, item_tags = _items(random, settings.items, settings.tags)
    quality, bait = random.normal(0, 0.5, settings.items), random.normal(0, 0.5, settings.items)
    taste = {stage: _taste(random, attributes, settings) for stage in STAGES}
    # users convert partly by the taste they click by, partly by another
    taste["conversion"] = 0.5 * taste["click"] + 0.85 * taste["conversion"]
    popularity = random.dirichlet(np.full(settings.items, 2.0))
    activity = random.dirichlet(np.full(settings.users, 3.0))
    uncalibrated = World(
        users=users,
        items=items,
        taste=taste,
        item_tags=item_tags,
        item_effect={"click": quality + bait, "action": quality, "conversion": quality - bait},
        domain_effect=np.array([0.3, 0.0, -0.5]),
        popularity=popularity,
        activity=activity,
        intercept=dict.fromkeys(taste, 0.0),
    )
    return _calibrated(uncalibrated, settings, random)


def _users(random: np.random.Generator, count: int) -> tuple[pd.DataFrame, Floats]:
    age = random.choice(AGES, count, p=[0.15, 0.3, 0.25, 0.15, 0.1, 0.05])
    gender, region = random.integers(0, GENDERS, count), random.integers(0, REGIONS, count)
    frame = pd.DataFrame(
        {
            "user_id": [f"u{n}" for n in range(count)],
            "age": [f"{10 * (a + 1)}s" for a in age],
            "gender": np.array(["f", "m"])[gender],
            "region": [f"r{r}" for r in region],
        }
    )
    one_hot = np.concatenate([np.eye(AGES)[age], np.eye(GENDERS)[gender], np.eye(REGIONS)[region]], axis=1)
    return frame, one_hot


def _items(random: np.random.Generator, count: int, tags: int) -> tuple[pd.DataFrame, Floats]:
    weights = random.dirichlet(np.full(tags, 3.0))
    tag_counts = random.integers(1, min(TAGS_AN_ITEM, tags) + 1, count)
    chosen = [random.choice(tags, n, replace=False, p=weights) for n in tag_counts]
    shares = np.zeros((count, tags))
    for item, its_tags in enumerate(chosen):
        shares[item, its_tags] = 1 / len(its_tags)
    frame = pd.DataFrame(
        {
            "item_id": [f"i{n}" for n in range(count)],
            "author_id": [f"a{a}" for a in random.integers(0, max(1, count // 5), count)],
            "tags": [[f"tag{t:02d}" for t in its_tags] for its_tags in chosen],
            "duration_s": np.round(np.exp(random.normal(3.6, 0.8, count)), 1),
        }
    )
    return frame, shares


def _taste(random: np.random.Generator, attributes: Floats, settings: Simulated) -> Floats:
    """Preferences [users, tags] of unit variance, of which 5 % is the user's own."""
    groups = [AGES, GENDERS, REGIONS]
    scale = np.repeat([0.75, 0.45, 0.4], groups)[:, None]
    explained = attributes @ (random.normal(0, 1, (sum(groups), settings.tags)) * scale)
    return explained + random.normal(0, 0.2, (settings.users, settings.tags))


def _calibrated(world: World, settings: Simulated, random: np.random.Generator) -> World:
    """Sets each stage's intercept so that its mean over a reference sample is the wanted rate."""
    user = random.choice(settings.users, 20_000, p=world.activity)
    item = random.choice(settings.items, 20_000, p=world.popularity)
    domain = random.choice(DOMAINS, 20_000, p=TRAFFIC)
    rates = RATES[settings.world]
    intercept: dict[str, float] = {}
    weights: Floats = np.ones(20_000)
    for stage in STAGES:
        logits = score(world, stage, user, item, domain)
        wanted = rates[stage]
        if settings.world == "shop" and stage == "conversion":
            # the mean purchase rate, when an action multiplies it by ACTION_LIFT
            wanted /= 1 - rates["action"] + rates["action"] * ACTION_LIFT
        intercept[stage] = _intercept(logits, weights, wanted)
        if stage == "click":
            weights = expit(logits + intercept[stage])  # the later stages are given a click
    return replace(world, intercept=intercept)


def _intercept(logits: Floats, weights: Floats, wanted: float) -> float:
    """The shift of the logits that makes their weighted mean probability the wanted one, by bisection."""
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        mean = np.average(expit(logits + middle), weights=weights)
        low, high = (low, middle) if mean > wanted else (middle, high)
    return middle


def score(world: World, stage: str, user: Floats, item: Floats, domain: Floats) -> Floats:
    """Logits of a stage's probability, for impressions given by the numbers of user, item and domain."""
    return (
        1.2 * np.einsum("nt,nt->n", world.taste[stage][user], world.item_tags[item])
        + 0.8 * world.item_effect[stage][item]
        + (world.domain_effect[domain] if stage == "click" else 0.0)
        + world.intercept[stage]
    )
