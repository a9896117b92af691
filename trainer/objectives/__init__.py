"""What a model learns and what it is asked: tasks, losses, objectives."""
