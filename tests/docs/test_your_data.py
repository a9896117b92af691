"""The examples of docs/how-to/your-data.md load as they stand."""

import tomllib

import pytest

from conf.settings.run_file import Tagging
from etl.contract import samples_schema
from tests.docs.pages import DOCS, blocks
from tests.lakes import runs

EXAMPLES = [tomllib.loads(block.text) for block in blocks(DOCS / "how-to" / "your-data.md") if block.language == "toml"]


def test_the_page_has_its_three_examples_of_sources_and_one_each_of_labels_domains_and_tagging():
    sources = [["features", "source"], ["source"], ["source"]]
    assert [*map(sorted, EXAMPLES)] == [["labels"], ["domain", "features"], *sources, ["tagging"]]


def test_the_example_of_labels_loads(tmp_path):
    settings = runs.simulated(tmp_path, world="shop", labels=EXAMPLES[0]["labels"])
    assert {"action_cart", "action_wish"} <= set(samples_schema(settings).names)


def test_the_example_of_domains_loads(tmp_path):
    features = [*runs.FEATURES, *EXAMPLES[1]["features"]]
    settings = runs.settings(tmp_path, runs.SIMULATED, features, domain=EXAMPLES[1]["domain"])
    assert (settings.domain_feature.name, settings.domain_feature.min_count) == ("placement", 1000)


def test_the_example_of_tagging_loads():
    settings = Tagging.model_validate(EXAMPLES[-1]["tagging"])
    assert settings.retired == ["clearance"]
    assert settings.max_churn == Tagging().max_churn


@pytest.mark.parametrize("example", [example for example in EXAMPLES if "source" in example])
def test_an_example_of_a_source_loads(tmp_path, example):
    settings = runs.settings(tmp_path, example["source"], [*runs.FEATURES, *example.get("features", [])])
    assert set(settings.source.tables()) == set(example["source"]) & {
        "impressions", "clicks", "actions", "conversions", "users", "items",
    }  # fmt: skip
