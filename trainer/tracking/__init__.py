"""What MLflow shows."""
