"""Calibrated scores of all users for all tags."""
