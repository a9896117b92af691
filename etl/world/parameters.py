"""The simulated world in numpy: users, items, and the hidden parameters behind every probability.

Everything follows from (seed, world, sizes). Age, gender and region explain most of a user's taste over tags; a small
part is the user's own. Items differ in tags, author, duration, quality and bait. Bait makes the tasks conflict: it
attracts clicks and spoils what follows them.

Domains belong to distributions (etl/world/distributions.py); by default there are three domains and one distribution.

`video` has the rates of LT4REC's data (click 0.41, conversion = share watched), `shop` those of ESM2's (click 0.063,
action 0.12 of clicks, purchase 0.011 of clicks, more often after an action).
"""

from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.special import expit  # type: ignore[import-untyped]

from conf.settings.source import Simulated
from etl.world.distributions import made_audience, made_domains
from etl.world.population import Floats, made_items, made_taste, made_users

DAY_MS = 86_400_000
EPOCH = date(1970, 1, 1)
RATES = {
    "video": {"click": 0.41, "action": 0.04, "conversion": 0.55},
    "shop": {"click": 0.063, "action": 0.12, "conversion": 0.011},
}
STAGES = ("click", "action", "conversion")
# shop: how much likelier a purchase is after a click and an action than after a click alone
ACTION_LIFT = 14.0


@dataclass(frozen=True)
class World:
    """Attributes and hidden parameters; row n of `users` and `items` is user and item n."""

    users: pd.DataFrame
    items: pd.DataFrame
    taste: dict[str, Floats]  # stage -> [distributions, users, tags]
    item_tags: Floats  # [items, tags], rows sum to 1
    item_effect: dict[str, Floats]  # stage -> [items]
    domain_effect: Floats  # [domains]
    traffic: Floats  # [domains], sums to 1
    distribution: Floats  # [domains], the number of each domain's distribution
    popularity: Floats  # [distributions, items], rows sum to 1
    activity: Floats  # [distributions, users], rows sum to 1
    intercept: dict[str, float]  # stage -> logit

    def mean_taste(self, stage: str) -> Floats:
        """[users, tags], over all distributions, each by its traffic."""
        return np.average(self.taste[stage], axis=0, weights=np.bincount(self.distribution, self.traffic))


@lru_cache(maxsize=4)
def world(settings: Simulated) -> World:
    """The world of these settings, its intercepts calibrated to the rates of RATES."""
    random = np.random.default_rng([settings.seed, 1])
    users, attributes = made_users(random, settings.users)
    items, item_tags = made_items(random, settings.items, settings.tags)
    quality, bait = random.normal(0, 0.5, settings.items), random.normal(0, 0.5, settings.items)
    common = {stage: made_taste(random, attributes, settings.tags) for stage in STAGES}
    popularity = random.dirichlet(np.full(settings.items, 2.0))
    activity = random.dirichlet(np.full(settings.users, 3.0))
    audience, domains = made_audience(settings, activity, popularity, common, attributes), made_domains(settings)
    # users convert partly by the taste they click by, partly by another
    conversion = 0.5 * audience.taste["click"] + 0.85 * audience.taste["conversion"]
    uncalibrated = World(
        users=users,
        items=items,
        taste=audience.taste | {"conversion": conversion},
        item_tags=item_tags,
        item_effect={"click": quality + bait, "action": quality, "conversion": quality - bait},
        domain_effect=domains.effect,
        traffic=domains.traffic,
        distribution=domains.distribution,
        popularity=audience.popularity,
        activity=audience.activity,
        intercept=dict.fromkeys(STAGES, 0.0),
    )
    return _calibrated(uncalibrated, settings, random)


def drawn(world: World, traffic: Floats, random: np.random.Generator, count: int) -> tuple[Floats, Floats, Floats]:
    """Numbers of user, item and domain of impressions, each [count]; traffic: the weight of each domain."""
    of_user, of_item, of_domain = random.random((3, count))
    domain = _chosen(traffic, of_domain)
    user, item = np.empty_like(domain), np.empty_like(domain)
    for number, (activity, popularity) in enumerate(zip(world.activity, world.popularity, strict=True)):
        rows = world.distribution[domain] == number
        user[rows], item[rows] = _chosen(activity, of_user[rows]), _chosen(popularity, of_item[rows])
    return user, item, domain


def _chosen(weights: Floats, uniform: Floats) -> Floats:
    """Numbers by their weights, as numpy's Generator.choice makes them of uniform draws."""
    cumulated = weights.cumsum()
    return (cumulated / cumulated[-1]).searchsorted(uniform, side="right")


def _calibrated(world: World, settings: Simulated, random: np.random.Generator) -> World:
    """Sets each stage's intercept so that its mean over a reference sample is the wanted rate."""
    user, item, domain = drawn(world, world.traffic, random, 20_000)
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
    taste = world.taste[stage][world.distribution[domain], user]
    return (
        1.2 * np.einsum("nt,nt->n", taste, world.item_tags[item])
        + 0.8 * world.item_effect[stage][item]
        + (world.domain_effect[domain] if stage == "click" else 0.0)
        + world.intercept[stage]
    )
