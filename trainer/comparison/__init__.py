"""Several models over the same days and seeds."""
