"""One optimiser step, one pass over a day, one checkpoint."""
