"""The one place that builds a SparkSession."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession

from conf.settings.run_file import Spark

LOGGING = (Path(__file__).parent / "log4j2.properties").as_uri()
# An embedded job lives for seconds: the optimising compiler, parallel garbage collection and re-planning between
# Spark's stages cost more than they save (CPU time of a demo day: 46 s with them, 25 s without; of twelve real days:
# 88 s and 65 s).
EMBEDDED = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.extraJavaOptions": f"-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dlog4j2.configurationFile={LOGGING}",
    "spark.sql.adaptive.enabled": "false",
}
ALWAYS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    # batches large enough to amortise a look-up table
    "spark.sql.execution.arrow.maxRecordsPerBatch": "100000",
    # larger tables of the simulated world reach the workers through a file instead of the query plan
    "spark.sql.execution.arrow.localRelationThreshold": "8MB",
    # with pruning, a CSV row with too few or too many fields counts as well-formed when a query skips columns
    "spark.sql.csv.parser.columnPruning.enabled": "false",
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
}


def build(spark: Spark) -> SparkSession:
    """An embedded or remote session: UTC, no UI, the running Python in the workers."""
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    embedded = spark.master.startswith("local")
    if embedded:
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    chosen = {
        "spark.driver.memory": spark.driver_memory,
        "spark.sql.shuffle.partitions": str(spark.shuffle_partitions),
        **ALWAYS,
        **(EMBEDDED if embedded else {}),
    }
    builder = SparkSession.builder.master(spark.master).appName("sparsetag")
    for key, value in chosen.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


@contextmanager
def session(spark: Spark) -> Iterator[SparkSession]:
    """A session for the length of a job. A session that is already running is used and left running."""
    running = SparkSession.getActiveSession()
    built = running or build(spark)
    try:
        yield built
    finally:
        if running is None:
            built.stop()
