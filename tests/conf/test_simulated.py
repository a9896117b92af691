"""Domains and distributions of a simulated world that cannot be are refused when the run file loads."""

import pytest

from conf.errors import InputError
from conf.load import load_settings
from tests.lakes.settings import DEMO


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("domains = 0", r"key 'source.*domains': .*greater than or equal to 1"),
        ("distributions = 0", r"key 'source.*distributions': .*greater than or equal to 1"),
        ("distributions = 4", "distributions = 4, but domains = 3: each needs a domain, add domains"),
        ("opens = { d3 = 2026-01-02 }", "opens: 'd3' is no domain; name one of d0 to d2"),
        ("closes = { feed = 2026-01-02 }", "closes: 'feed' is no domain; name one of d0 to d2"),
        (
            "opens = { d1 = 2026-01-03 }\ncloses = { d1 = 2026-01-02 }",
            "domain 'd1' closes on 2026-01-02, before it opens",
        ),
        ("opens = { d1 = 'soon' }", "key 'source.*opens.d1'"),
        (
            "opens = { d0 = 2026-01-03, d1 = 2026-01-03 }\ncloses = { d2 = 2026-01-05 }",
            "opens and closes name every domain; leave out one",
        ),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, keys, message):
    path = tmp_path / "changed.toml"
    path.write_text(DEMO.read_text().replace('world = "video"', f'world = "video"\n{keys}'))
    with pytest.raises(InputError, match=message):
        load_settings(path)


def test_settings_that_differ_in_the_days_of_domains_only_are_two(tmp_path):
    path = tmp_path / "changed.toml"
    found = set()
    for day in ("2026-01-02", "2026-01-03", "2026-01-03"):
        text = DEMO.read_text().replace('world = "video"', f'world = "video"\nopens = {{ d1 = {day} }}')
        path.write_text(text)
        found.add(load_settings(path).source)
    assert len(found) == 2
