from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from conf.settings.run_file import Spark
from etl.spark.session import session


@pytest.fixture(scope="module")
def spark() -> Iterator[SparkSession]:
    """One session for the jobs of a file of tests, which use the one that runs."""
    with session(Spark(master="local[2]", driver_memory="512m", shuffle_partitions=2)) as built:
        yield built
