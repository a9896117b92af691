"""A simulated world with known probabilities, in numpy: its hidden parameters, its days, its logs."""
