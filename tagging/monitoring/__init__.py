"""What changed since the day before, and what MLflow shows."""
