"""Which feature holds the domains."""

from pathlib import Path
from typing import Any

import pytest

from conf.settings.run_file import Domain, Settings
from tests.lakes import runs


def with_features(*more: dict[str, Any], domain: str | None = None) -> Settings:
    return runs.settings(Path("unused"), runs.SIMULATED, [*runs.FEATURES, *more], domain={"feature": domain})


PAGE: dict[str, Any] = {"name": "domain", "table": "impressions", "column": "page"}


@pytest.mark.parametrize(
    ("more", "named", "found"),
    [
        ([], None, None),
        ([PAGE], None, "domain"),
        ([PAGE], "age", "age"),
        ([PAGE], "duration_s", "duration_s"),
        # several values have no one domain
        ([PAGE | {"kind": "multi", "length": 2}], None, None),
    ],
)
def test_it_is_the_one_named_else_the_one_called_domain_if_there_is_one(more, named, found):
    feature = with_features(*more, domain=named).domain_feature
    assert (feature and feature.name) == found


def test_the_environment_names_it_too(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARSETAG_DOMAIN__FEATURE", "hour")
    content = with_features().model_dump(exclude={"domain"})
    assert Settings(**content).domain == Domain(feature="hour")
