"""A day of the simulated world: who is shown what, what came of it, and the true probabilities."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
from scipy.special import betainc, expit  # type: ignore[import-untyped]

from conf.settings.source import Simulated
from etl.world.parameters import ACTION_LIFT, DAY_MS, EPOCH, STAGES, drawn, score, world
from etl.world.population import Floats

# of the Beta distribution of the share watched: the larger, the closer to the mean
CONCENTRATION = 4.0


@dataclass(frozen=True)
class Day:
    """A day's impressions in order of time, with probabilities and outcomes; all arrays [impressions].

    `random` goes on from here: what else happens on the day is drawn from it.
    """

    impression_id: list[str]
    user: Floats
    item: Floats
    domain: Floats
    ts: Floats  # epoch milliseconds
    probability: pd.DataFrame  # p_click; given a click: p_action, p_conversion (mean value), p_converted
    click: Floats
    action: Floats
    conversion: Floats  # value in [0, 1]
    random: np.random.Generator


def world_day(settings: Simulated, day: date) -> Day:
    """The impressions of a day and what came of them. They follow from (settings, day) alone."""
    hidden = world(settings)
    random = np.random.default_rng([settings.seed, 2, day.toordinal()])
    n = settings.impressions
    ts = (day - EPOCH).days * DAY_MS + np.sort(_time_of_day(random, n))
    user, item, domain = drawn(hidden, hidden.traffic * _shown(settings, day), random, n)
    p_click, p_action, p_third = (expit(score(hidden, stage, user, item, domain)) for stage in STAGES)
    click = random.random(n) < p_click
    action = random.random(n) < p_action
    if settings.world == "video":
        value = np.round(random.beta(CONCENTRATION * p_third, CONCENTRATION * (1 - p_third)), 4)
        p_conversion = p_third
        p_converted = 1 - betainc(CONCENTRATION * p_third, CONCENTRATION * (1 - p_third), 0.5)
    else:
        after = np.minimum(1.0, p_third * ACTION_LIFT)
        value = (random.random(n) < np.where(action, after, p_third)).astype(float)
        p_conversion = p_converted = p_action * after + (1 - p_action) * p_third
    return Day(
        impression_id=[f"{day:%Y%m%d}-{number:07d}" for number in range(n)],
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


def _shown(settings: Simulated, day: date) -> Floats:
    """Whether each domain is shown on the day [domains]."""
    names = [f"d{number}" for number in range(settings.domains)]
    return np.array([settings.opens.get(n, day) <= day <= settings.closes.get(n, day) for n in names])


def _time_of_day(random: np.random.Generator, count: int) -> Floats:
    """Milliseconds since midnight: few at night, a peak in the evening."""
    hours = np.arange(24)
    weight = 1.2 + np.sin((hours - 14) / 24 * 2 * np.pi)
    hour = random.choice(24, count, p=weight / weight.sum())
    return (hour * 3_600_000 + random.integers(0, 3_600_000, count)).astype(np.int64)


def truth(settings: Simulated, day: date) -> pd.DataFrame:
    """The true probabilities behind a day: impression_id, p_click, and given a click p_action, p_conversion (the mean
    value) and p_converted (that the value reaches 0.5)."""
    shown = world_day(settings, day)
    return pd.concat([pd.DataFrame({"impression_id": shown.impression_id}), shown.probability], axis=1)
