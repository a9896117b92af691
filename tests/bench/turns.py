"""Timing several calls in turn, so that other load on the machine slows all of them alike."""

import argparse
import statistics
from collections.abc import Callable, Mapping

import torch

from trainer.export.forms import seconds


class Turns:
    """Seconds of each call by name: `runs` times in turn, after one call each to warm up."""

    def __init__(self, calls: Mapping[str, Callable[[], object]], runs: int) -> None:
        self.seconds = dict(zip(calls, seconds(list(calls.values()), runs), strict=True))

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    def ratio(self, above: str, below: str, factor: float = 1.0) -> str:
        """factor * seconds of `above` / seconds of `below`: median over the turns, and range."""
        ratios = [factor * a / b for a, b in zip(self.seconds[above], self.seconds[below], strict=True)]
        return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def add_threads(parser: argparse.ArgumentParser) -> None:
    """By default one thread, as in jobs, and torch's own number of threads."""
    default = sorted({1, torch.get_num_threads()})
    parser.add_argument("--threads", type=int, nargs="+", default=default, help=f"{default} by default")
