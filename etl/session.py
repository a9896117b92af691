"""The one place that builds a SparkSession."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession

from conf.settings import Spark


def build(spark: Spark) -> SparkSession:
    """An embedded or remote session: UTC, no UI, the running python in the workers."""
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    built = (
        SparkSession.builder.master(spark.master)
        .appName("sparsetag")
        .config("spark.driver.memory", spark.driver_memory)
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.log.level", "ERROR")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", spark.shuffle_partitions)
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        # a Python worker is started for each core and lives on; batches big enough to amortise a look-up table
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", 100_000)
        # without it a CSV row of too few or too many fields passes for a good one when columns are left out
        .config("spark.sql.csv.parser.columnPruning.enabled", "false")
        # a file that is not what it was when the job began is an error, never fewer rows
        .config("spark.sql.files.ignoreCorruptFiles", "false")
        .config("spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs", "false")
        .getOrCreate()
    )
    built.sparkContext.setLogLevel("ERROR")
    return built


@contextmanager
def session(spark: Spark) -> Iterator[SparkSession]:
    """A session for the length of a job."""
    built = build(spark)
    try:
        yield built
    finally:
        built.stop()
