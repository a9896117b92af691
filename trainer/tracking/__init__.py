"""MLflow: runs and figures."""
