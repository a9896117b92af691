"""What serves a trained model."""
