"""Predictions and their metrics."""
