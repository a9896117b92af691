"""Spark jobs that turn raw logs into daily samples; the tables that all packages share."""
