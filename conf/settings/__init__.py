"""What every key of a run file and a model file means."""
