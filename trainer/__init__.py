"""PyTorch jobs: masks once, then one model a day."""
