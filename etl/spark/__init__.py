"""What the jobs share of Spark: the session, deterministic Parquet, schema checks, times."""
