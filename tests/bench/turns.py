"""Measuring in turn, so that what the machine does beside hits all alike."""

import argparse
import statistics
from collections.abc import Callable, Mapping

import torch

from trainer.export.subnetwork import seconds


class Turns:
    """Seconds of calls by name, each called `runs` times in turn after one call to warm up."""

    def __init__(self, calls: Mapping[str, Callable[[], object]], runs: int) -> None:
        self.seconds = dict(zip(calls, seconds(list(calls.values()), runs), strict=True))

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    def ratio(self, above: str, below: str, factor: float = 1.0) -> str:
        """Of two calls: the median of the turns, and the range."""
        ratios = [factor * a / b for a, b in zip(self.seconds[above], self.seconds[below], strict=True)]
        return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def add_threads(parser: argparse.ArgumentParser) -> None:
    """One thread, as jobs run, and as many as torch takes by itself."""
    both = sorted({1, torch.get_num_threads()})
    parser.add_argument("--threads", type=int, nargs="+", default=both, help=f"{both} by default")
