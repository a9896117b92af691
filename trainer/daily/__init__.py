"""One day of a model: predict, train, publish."""
