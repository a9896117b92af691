"""Spark jobs that turn raw logs into daily samples."""
