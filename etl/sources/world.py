"""The simulated world in numpy: who is shown what, and the probabilities behind every click.

Everything follows from (seed, world, sizes), each day from (seed, day) alone. Users differ by age, gender and region,
which explain most of their taste over tags, and by a small part of their own; items by tags, author, duration,
quality and bait. Bait is what makes the tasks conflict: it draws clicks and spoils what follows them.

`video` has the rates of LT4REC's data (click 0.41, conversion = share watched), `shop` those of ESM2's (click 0.063,
action 0.12 of clicks, purchase 0.011 of clicks, more often after an action).
"""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import betainc, expit  # type: ignore[import-untyped]

from conf.settings.source import Simulated

AGES, GENDERS, REGIONS, TAGS_AN_ITEM = 6, 2, 8, 3
TRAFFIC = (0.5, 0.35, 0.15)  # share of each domain
DOMAINS = len(TRAFFIC)
DAY_MS = 86_400_000
EPOCH = date(1970, 1, 1)
# a Beta distribution of the share watched: the larger, the closer to its mean
CONCENTRATION = 4.0
RATES = {
    "video": {"click": 0.41, "action": 0.04, "conversion": 0.55},
    "shop": {"click": 0.063, "action": 0.12, "conversion": 0.011},
}
# shop: purchase given a click and an action, over purchase given a click without one
LIFT_OF_ACTION = 14.0

Floats = Any  # numpy array of float64


@dataclass(frozen=True)
class World:
    """Attributes and hidden parameters; row n of `users` and `items` is user and item n."""

    users: pd.DataFrame
    items: pd.DataFrame
    taste: dict[str, Floats]  # step -> [users, tags]
    item_tags: Floats  # [items, tags], rows sum to 1
    item_effect: dict[str, Floats]  # step -> [items]
    domain_effect: Floats  # [domains]
    popularity: Floats  # [items], sums to 1
    activity: Floats  # [users], sums to 1
    intercept: dict[str, float]


@lru_cache(maxsize=4)
def world(settings: Simulated) -> World:
    """The world of these settings, with intercepts that give the rates of RATES."""
    random = np.random.default_rng([settings.seed, 1])
    users, attributes = _users(random, settings.users)
    items, item_tags = _items(random, settings.items, settings.tags)
    quality, bait = random.normal(0, 0.5, settings.items), random.normal(0, 0.5, settings.items)
    taste = {step: _taste(random, attributes, settings) for step in ("click", "action", "conversion")}
    # what follows a click is partly what was clicked for, partly something else
    taste["conversion"] = 0.5 * taste["click"] + 0.85 * taste["conversion"]
    popularity = random.dirichlet(np.full(settings.items, 2.0))
    activity = random.dirichlet(np.full(settings.users, 3.0))
    unfit = World(
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
    return _calibrated(unfit, settings, random)


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
    how_many = random.integers(1, min(TAGS_AN_ITEM, tags) + 1, count)
    chosen = [random.choice(tags, n, replace=False, p=weights) for n in how_many]
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
    """[users, tags]: unit-variance preference, 5 % of its variance the user's own."""
    groups = [AGES, GENDERS, REGIONS]
    scale = np.repeat([0.75, 0.45, 0.4], groups)[:, None]
    explained = attributes @ (random.normal(0, 1, (sum(groups), settings.tags)) * scale)
    return explained + random.normal(0, 0.2, (settings.users, settings.tags))


def _calibrated(unfit: World, settings: Simulated, random: np.random.Generator) -> World:
    """Shifts each step's intercept until its mean over a reference sample is the rate wanted (bisection)."""
    user = random.choice(settings.users, 20_000, p=unfit.activity)
    item = random.choice(settings.items, 20_000, p=unfit.popularity)
    domain = random.choice(DOMAINS, 20_000, p=TRAFFIC)
    rates = RATES[settings.world]
    intercept: dict[str, float] = {}
    clicked: Floats = 1.0
    for step in ("click", "action", "conversion"):
        score = _score(unfit, step, user, item, domain)
        wanted = rates[step]
        if settings.world == "shop" and step == "conversion":
            # the mean purchase rate, when an action multiplies it by LIFT_OF_ACTION
            wanted /= 1 - rates["action"] + rates["action"] * LIFT_OF_ACTION
        low, high = -20.0, 20.0
        for _ in range(60):
            middle = (low + high) / 2
            mean = np.average(expit(score + middle), weights=np.broadcast_to(clicked, score.shape))
            low, high = (low, middle) if mean > wanted else (middle, high)
        intercept[step] = middle
        if step == "click":
            clicked = expit(score + middle)
    return World(**{**vars(unfit), "intercept": intercept})


def _score(world: World, step: str, user: Floats, item: Floats, domain: Floats) -> Floats:
    """Logit of a step's probability, for impressions given by user, item and domain numbers."""
    return (
        1.2 * np.einsum("nt,nt->n", world.taste[step][user], world.item_tags[item])
        + 0.8 * world.item_effect[step][item]
        + (world.domain_effect[domain] if step == "click" else 0.0)
        + world.intercept[step]
    )


@dataclass(frozen=True)
class Day:
    """One day's impressions in order of time, with probabilities and outcomes; all arrays [impressions]."""

    impression_id: list[str]
    user: Floats
    item: Floats
    domain: Floats
    ts: Floats  # epoch milliseconds
    probability: pd.DataFrame  # p_click; given a click: p_action, p_conversion (its mean value), p_converted
    click: Floats
    action: Floats
    conversion: Floats  # value in [0, 1]
    random: np.random.Generator


def day(settings: Simulated, which: date) -> Day:
    """The impressions of a day and what came of them."""
    hidden = world(settings)
    random = np.random.default_rng([settings.seed, 2, which.toordinal()])
    n = settings.impressions
    ts = (which - EPOCH).days * DAY_MS + np.sort(_time_of_day(random, n))
    user = random.choice(settings.users, n, p=hidden.activity)
    item = random.choice(settings.items, n, p=hidden.popularity)
    domain = random.choice(DOMAINS, n, p=TRAFFIC)
    p_click, p_action, p_third = (
        expit(_score(hidden, step, user, item, domain)) for step in ("click", "action", "conversion")
    )
    click = random.random(n) < p_click
    action = random.random(n) < p_action
    if settings.world == "video":
        value = np.round(random.beta(CONCENTRATION * p_third, CONCENTRATION * (1 - p_third)), 4)
        p_conversion = p_third
        p_converted = 1 - betainc(CONCENTRATION * p_third, CONCENTRATION * (1 - p_third), 0.5)
    else:
        after = np.minimum(1.0, p_third * LIFT_OF_ACTION)
        value = (random.random(n) < np.where(action, after, p_third)).astype(float)
        p_conversion = p_converted = p_action * after + (1 - p_action) * p_third
    return Day(
        impression_id=[f"{which:%Y%m%d}-{number:07d}" for number in range(n)],
        user=user,
        item=item,
        domain=domain,
        ts=ts,
        probability=pd.DataFrame(
            {"p_click": p_click, "p_action": p_action, "p_conversion": p_conversion, "p_converted": p_converted}
        ),
        click=click,
        action=click & action,
        conversion=value,
        random=random,
    )


def _time_of_day(random: np.random.Generator, count: int) -> Floats:
    """Milliseconds since midnight: quiet nights, a peak in the evening."""
    hours = np.arange(24)
    weight = 1.2 + np.sin((hours - 14) / 24 * 2 * np.pi)
    hour = random.choice(24, count, p=weight / weight.sum())
    return (hour * 3_600_000 + random.integers(0, 3_600_000, count)).astype(np.int64)


def truth(settings: Simulated, which: date) -> pd.DataFrame:
    """The world's own probabilities of a day: impression_id, p_click, and given a click p_action, p_conversion
    (the mean value) and p_converted (that the value reaches 0.5)."""
    shown = day(settings, which)
    return pd.concat([pd.DataFrame({"impression_id": shown.impression_id}), shown.probability], axis=1)
