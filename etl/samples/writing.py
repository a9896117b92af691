"""Writes the rows of all days of a range into the staging folder: samples and quarantine."""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import reduce

import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from conf.settings.run_file import Settings
from etl.contract import QUARANTINE, RAW, samples_schema
from etl.samples import quality
from etl.samples.assemble import Assembled
from etl.samples.encoding import Lookup, encode
from etl.samples.staging import Staging
from etl.spark import parquet


def write_samples(
    staging: Staging, settings: Settings, rows: DataFrame, lookups: Mapping[str, Lookup], sizes: Mapping[date, int]
) -> None:
    """Encodes and writes the rows of all days; `sizes`: rows of each day."""
    schema = samples_schema(settings)
    encoded = encode(rows, settings.features, lookups, schema, "samples")
    files: Column = F.lit(1)
    for day, count in sizes.items():
        if (needed := parquet.files_needed(count)) > 1:
            files = F.when(F.col("dt") == F.lit(day), needed).otherwise(files)
    number = parquet.hash_file("impression_id", files)
    order = parquet.hash_order("impression_id")
    parquet.write_partitions(encoded, schema, ["dt"], order, staging.all_samples, number)


def write_quarantine(staging: Staging, parts: Assembled, days: Sequence[date]) -> None:
    """Writes the refused rows of each table and day, an empty file where there are none.

    The refused rows of users and items count for every day.
    """
    every_day = F.explode(F.array(*map(F.lit, days)))
    in_range = F.col("dt").between(days[0], days[-1])
    refused = [
        quality.quarantined(parts.impressions, F.lit("impressions"), F.col("day")).where(in_range),
        quality.quarantined(parts.events, F.col("table"), F.col("dt")).where(in_range),
        *(quality.quarantined(table, F.lit(name), every_day) for name, table in parts.snapshots.items()),
    ]
    schema = QUARANTINE.schema()
    order = [F.col(name) for name in schema.names]
    together = reduce(DataFrame.unionByName, refused)
    parquet.write_partitions(together, schema, ["table", "dt"], order, staging.all_quarantine)
    for table in RAW:
        for day in days:
            folder = staging.quarantine(table, day)
            if not folder.exists():
                folder.mkdir(parents=True)
                pq.write_table(schema.empty_table(), folder / "part-00000.parquet")
