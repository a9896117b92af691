"""Task masks: pruned in rounds, chosen, stored (LT4REC Algorithm 1)."""
