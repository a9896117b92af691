"""Spark: the session, deterministic Parquet, schema checks."""
