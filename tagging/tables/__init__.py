"""The published tables of a day's tags."""
