"""What changed since the day before, how much may change, and what MLflow shows."""
