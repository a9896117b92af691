"""Number of files, order of rows, size of row groups."""

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import functions as F

from etl.spark import parquet


def test_rows_are_spread_over_files_ordered_inside_and_grouped(spark, tmp_path, monkeypatch):
    rows = spark.range(300_000).select(F.col("id").alias("n"), (F.col("id") % 2).cast("int").alias("half"))
    number = F.when(F.col("half") == 0, F.col("n") % 3).otherwise(F.lit(0))
    parquet.write_partitions(rows, pa.schema([("n", pa.int64())]), ["half"], [F.col("n").desc()], tmp_path, number)
    found = {str(p.relative_to(tmp_path)): pq.ParquetFile(p) for p in sorted(tmp_path.rglob("*")) if p.is_file()}
    assert list(found) == [
        "half=0/part-00000.parquet",
        "half=0/part-00001.parquet",
        "half=0/part-00002.parquet",
        "half=1/part-00000.parquet",
    ]
    odd = found["half=1/part-00000.parquet"]
    assert odd.read()["n"].to_pylist() == list(range(299_999, 0, -2))
    groups = [odd.metadata.row_group(n).num_rows for n in range(odd.num_row_groups)]
    assert groups == [131_072, 18_928]
    assert found["half=0/part-00001.parquet"].read()["n"].to_pylist()[-2:] == [10, 4]


def test_a_day_has_a_file_for_each_quarter_million_rows():
    assert [parquet.files_needed(rows) for rows in (0, 1, 250_000, 250_001)] == [1, 1, 1, 2]
