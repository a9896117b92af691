"""The domains of the simulated world and the distributions that they belong to.

A distribution has users, items and a taste of its own: the same attributes and the same tag mean something else in
another one, and which one an impression belongs to can be told from its user and its item. Everything here is drawn
from generators of its own, so a world of one distribution does not depend on it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from conf.settings.source import Simulated
from etl.world.population import Floats, taste_of_attributes

TRAFFIC, EFFECT = (0.5, 0.35, 0.15), (0.3, 0.0, -0.5)  # share and logit of a click, of each of three domains
# of the Dirichlet distributions of a distribution's users and items: the smaller, the fewer it shares with others.
# Items are shared by more than users are, so that items alone do not tell how a tag is liked
OF_USERS, OF_ITEMS = 0.1, 0.3
# share of a taste's variance that all distributions have in common
COMMON = 0.25
LEVEL, OWN_LEVEL = 0.5, 0.2  # standard deviation of the click logits of distributions, and of the domains in one


@dataclass(frozen=True)
class Domains:
    """Arrays [domains]. `effect`: what the domain adds to the logit of a click."""

    traffic: Floats  # sums to 1
    distribution: Floats  # numbers from 0
    effect: Floats


def made_domains(settings: Simulated) -> Domains:
    """Every distribution has about as many domains; their traffic falls off as 1, 1/2, 1/3, ..."""
    if (settings.domains, settings.distributions) == (len(TRAFFIC), 1):
        return Domains(np.array(TRAFFIC), np.zeros(len(TRAFFIC), dtype=int), np.array(EFFECT))
    random = np.random.default_rng([settings.seed, 3])
    rank = np.arange(settings.domains)
    distribution = np.empty(settings.domains, dtype=int)
    distribution[random.permutation(settings.domains)] = rank % settings.distributions
    level = random.normal(0, LEVEL, settings.distributions)
    effect = level[distribution] + random.normal(0, OWN_LEVEL, settings.domains)
    weight = 1 / (rank + 1)
    return Domains(weight / weight.sum(), distribution, effect)


@dataclass(frozen=True)
class Audience:
    """Who uses each distribution, what is shown there, and how it is liked."""

    activity: Floats  # [distributions, users], rows sum to 1
    popularity: Floats  # [distributions, items], rows sum to 1
    taste: dict[str, Floats]  # stage -> [distributions, users, tags]


def made_audience(
    settings: Simulated, activity: Floats, popularity: Floats, taste: Mapping[str, Floats], attributes: Floats
) -> Audience:
    """`activity`, `popularity` and `taste` are those of one distribution; of several, the taste is what is common.

    `attributes`: one-hot [users, values].
    """
    if settings.distributions == 1:
        return Audience(activity[None], popularity[None], {stage: common[None] for stage, common in taste.items()})
    generators = [np.random.default_rng([settings.seed, 4, n]) for n in range(settings.distributions)]
    own_activity = np.stack([random.dirichlet(np.full(settings.users, OF_USERS)) for random in generators])
    own_popularity = np.stack([random.dirichlet(np.full(settings.items, OF_ITEMS)) for random in generators])
    tastes = {}
    for stage, common in taste.items():
        own = np.stack([taste_of_attributes(random, attributes, settings.tags) for random in generators])
        tastes[stage] = COMMON**0.5 * common + (1 - COMMON) ** 0.5 * own
    return Audience(own_activity, own_popularity, tastes)
