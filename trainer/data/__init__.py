"""Rows out of Parquet, and where each feature's columns are."""
