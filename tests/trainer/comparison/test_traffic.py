"""Impressions and click rates by domain, from samples of two days."""

from datetime import timedelta

import pytest

from conf.errors import InputError
from conf.paths import Paths
from tests.lakes.samples import sample_rows, write_samples
from tests.lakes.settings import START
from trainer.comparison.traffic import Clicks, Traffic, read_traffic

DAYS = [START, START + timedelta(days=1)]


def test_impressions_and_click_rate_of_all_days_the_busiest_domain_first(settings):
    """late is there on the second day alone; of hidden no click is defined, so it has no rate."""
    for day, domains in zip(DAYS, (["tab", "feed", "feed", "hidden"], ["late", "late", "late", "feed"]), strict=True):
        rows = sample_rows(settings, day, 4)
        rows["domain"], rows["click"] = domains, [1.0, 1.0, 0.0, 0.0]
        rows["click_defined"] = [float(domain != "hidden") for domain in domains]
        write_samples(settings, day, rows)
    found = read_traffic(Paths(settings.lake.root), DAYS)
    domains = {"feed": Clicks(3, 1 / 3), "late": Clicks(3, 2 / 3), "hidden": Clicks(1, None), "tab": Clicks(1, 1.0)}
    assert found == Traffic(Clicks(8, 4 / 7), domains)  # of equal ones the first by name
    assert list(found.domains) == list(domains)
    with pytest.raises(InputError, match="build the samples"):
        read_traffic(Paths(settings.lake.root), [DAYS[0] - timedelta(days=1)])
