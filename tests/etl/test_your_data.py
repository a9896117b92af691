"""The examples of docs/your-data.md load as they stand."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.etl import runs

PAGE = (Path(__file__).parents[2] / "docs" / "your-data.md").read_text()
EXAMPLES = [tomllib.loads(text) for text in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)]


def test_the_page_has_its_three_examples():
    assert len(EXAMPLES) == 3


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_is_a_source_that_loads(tmp_path, number):
    example = EXAMPLES[number]
    made = runs.settings(tmp_path, example["source"], [*runs.FEATURES, *example.get("features", [])])
    assert set(made.source.tables()) == set(example["source"]) & {
        "impressions", "clicks", "actions", "conversions", "users", "items",
    }  # fmt: skip
