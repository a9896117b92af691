"""What the tests of combinations share."""

import pytest

from conf.load import load_settings
from conf.settings.run_file import Settings
from tests.trainer.models.combination import random_batch
from trainer.data.batch import Batch


@pytest.fixture(scope="module")
def demo() -> Settings:
    return load_settings("conf/demo.toml")


@pytest.fixture(scope="module")
def batch(demo: Settings) -> Batch:
    return random_batch(demo)
