from datetime import timedelta

import pytest

from etl import build_samples
from tests.lakes import runs


@pytest.fixture(scope="session")
def built(spark, tmp_path_factory):
    """The run with its first three days' samples, built in one pass; tests leave the samples as they are."""
    made = runs.simulated(tmp_path_factory.mktemp("range"))
    build_samples.build(made, [runs.DAY + timedelta(days=n) for n in range(3)])
    return made
