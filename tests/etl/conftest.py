from datetime import timedelta

import pytest

from etl import build_samples
from tests.lakes import runs


@pytest.fixture(scope="session")
def built(spark, tmp_path_factory):
    """The simulated run with the samples of its first three days, built in one pass; tests do not change them."""
    settings = runs.simulated(tmp_path_factory.mktemp("range"))
    build_samples.build(settings, [runs.DAY + timedelta(days=n) for n in range(3)])
    return settings
