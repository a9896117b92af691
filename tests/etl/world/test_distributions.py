"""Domains and distributions of the simulated world, and that a world without them is what it always was."""

import hashlib
from datetime import date

import numpy as np
import pytest

from conf.settings.source import Simulated
from etl.contract import EVENT_TABLES
from etl.world.day import truth, world_day
from etl.world.logs import raw_day
from etl.world.parameters import score, world

DAY = date(2026, 1, 3)
PLAIN = Simulated(kind="simulated", world="video", users=300, items=60, tags=8, impressions=2000, seed=3)
MANY = PLAIN.model_copy(
    update={"users": 2000, "items": 400, "impressions": 20_000, "seed": 7, "domains": 12, "distributions": 3}
)


def changed(settings: Simulated, **keys: object) -> Simulated:
    return Simulated(**{**settings.model_dump(), **keys})


@pytest.mark.parametrize(("kind", "expected"), [("video", "ec95f251e4f1d419"), ("shop", "af45f71d2398ab34")])
def test_a_world_of_three_domains_and_one_distribution_never_changes(kind, expected):
    """Digests of what the world gave before there were distributions."""
    settings = changed(PLAIN, world=kind)
    hidden, raw = world(settings), raw_day(settings, DAY)
    tables = [*(raw[name] for name in EVENT_TABLES), truth(settings, DAY), hidden.users, hidden.items]
    text = "".join(table.to_csv(index=False, float_format="%.9g") for table in tables)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == expected


def test_more_domains_leave_users_items_and_taste_as_they_are():
    few, more = world(PLAIN), world(changed(PLAIN, domains=5))
    assert few.users.equals(more.users) and few.items.equals(more.items)
    for name in ("popularity", "activity", "item_tags"):
        assert np.array_equal(getattr(few, name), getattr(more, name))
    assert all(np.array_equal(few.taste[stage], more.taste[stage]) for stage in few.taste)
    assert more.distribution.tolist() == [0] * 5


def test_traffic_falls_off_from_domain_to_domain():
    # 1, 1/2, 1/3, 1/4 of their sum 25/12
    shown = world_day(changed(MANY, domains=4), DAY)
    assert np.bincount(shown.domain) / 20_000 == pytest.approx([0.48, 0.24, 0.16, 0.12], abs=0.015)


@pytest.mark.parametrize(("domains", "distributions"), [(33, 4), (5, 5), (3, 2)])
def test_every_domain_has_a_distribution_and_every_distribution_a_domain(domains, distributions):
    sizes = np.bincount(world(changed(PLAIN, domains=domains, distributions=distributions)).distribution)
    assert len(sizes) == distributions and sizes.sum() == domains
    assert sizes.max() - sizes.min() <= 1


def test_a_domain_is_shown_from_the_day_it_opens_to_the_day_it_closes():
    settings = changed(MANY, opens={"d0": date(2026, 1, 2), "d11": DAY}, closes={"d0": date(2026, 1, 4), "d1": DAY})
    shown = {day: set(world_day(settings, date(2026, 1, day)).domain) for day in range(1, 6)}
    others = set(range(2, 11))
    assert shown == {
        1: others | {1},
        2: others | {0, 1},
        3: others | {0, 1, 11},
        4: others | {0, 11},
        5: others | {11},
    }
    assert len(world_day(settings, date(2026, 1, 5)).domain) == 20_000  # the others have more of them


def test_days_on_which_domains_open_and_close_change_nothing_else():
    settings = changed(MANY, opens={"d11": date(2026, 1, 4)}, closes={"d10": date(2026, 1, 1)})
    assert truth(settings, date(2026, 1, 2)).columns.tolist() == truth(MANY, DAY).columns.tolist()
    assert np.array_equal(world(settings).taste["click"], world(MANY).taste["click"])
    assert world(settings).intercept == world(MANY).intercept


def test_the_same_user_and_item_are_liked_otherwise_in_another_distribution_and_alike_in_one():
    hidden, random = world(MANY), np.random.default_rng(0)
    user, item = random.integers(0, 2000, 5000), random.integers(0, 400, 5000)
    logits = {n: score(hidden, "click", user, item, np.full(5000, n)) for n in range(12)}
    for one in range(12):
        for other in range(one):
            difference = logits[one] - logits[other]
            if hidden.distribution[one] == hidden.distribution[other]:
                assert difference.std() < 1e-9  # a level of its own, for everybody alike
                assert 0.001 < abs(difference.mean()) < 1.5
            else:
                assert difference.std() > 0.5
    # a quarter of the variance of a taste is common
    tastes = [hidden.taste["click"][n].ravel() for n in range(3)]
    assert np.corrcoef(tastes)[np.triu_indices(3, 1)] == pytest.approx([0.25] * 3, abs=0.15)


def test_a_group_of_users_clicks_a_tag_otherwise_in_another_distribution():
    hidden = world(MANY)
    group = hidden.users.index[(hidden.users["age"] == "20s") & (hidden.users["gender"] == "f")].to_numpy()
    by_tag = []
    for number in range(3):
        domain = np.flatnonzero(hidden.distribution == number)[0]
        items = [np.flatnonzero(hidden.item_tags[:, tag] == 1) for tag in range(8)]
        user = [np.repeat(group, len(of_tag)) for of_tag in items]
        item = [np.tile(of_tag, len(group)) for of_tag in items]
        pairs = zip(user, item, strict=True)
        means = [score(hidden, "click", u, i, np.full(len(u), domain)).mean() for u, i in pairs]
        by_tag.append(np.array(means) - np.mean(means))
    assert all(np.ptp([of[tag] for of in by_tag]) > 0.1 for tag in range(8))
    assert max(np.ptp([of[tag] for of in by_tag]) for tag in range(8)) > 1


def test_user_and_item_tell_the_distribution_although_some_are_of_several():
    hidden, shown = world(MANY), world_day(MANY, DAY)
    true = hidden.distribution[shown.domain]
    evidence = hidden.activity[:, shown.user] * hidden.popularity[:, shown.item]
    prior = np.bincount(hidden.distribution, hidden.traffic)
    accuracy = (np.argmax(evidence * prior[:, None], axis=0) == true).mean()
    assert 0.9 < accuracy < 0.99
    several = [len(set(true[shown.user == user])) > 1 for user in set(shown.user)]
    assert 0.2 < np.mean(several) < 0.8


def test_many_domains_have_the_rates_of_the_world_and_follow_from_seed_and_day():
    assert world_day(MANY, DAY).click.mean() == pytest.approx(0.41, abs=0.03)
    before = raw_day(MANY, DAY)
    world.cache_clear()
    assert all(before[name].equals(table) for name, table in raw_day(MANY, DAY).items())
    other = world(changed(MANY, seed=8))
    assert not np.array_equal(other.distribution, world(MANY).distribution)


def test_the_mean_taste_weighs_distributions_by_their_traffic():
    hidden = world(changed(PLAIN, domains=2, distributions=2))
    # the first domain has two thirds of the impressions
    first, second = (hidden.taste["click"][hidden.distribution[n]] for n in range(2))
    assert hidden.mean_taste("click") == pytest.approx(first * 2 / 3 + second / 3)
