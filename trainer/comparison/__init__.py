"""Several models over the same days and seeds, compared with a base."""
