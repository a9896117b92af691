"""Pruned layers in the fastest form that is exact: dense, or in tiles of rows whose layers are sparse where that pays.

Which form is faster depends on the processor, so it is measured when the network is exported. The forms agree up to
rounding and not to the bit, so they are for serving. Tables that must be reproducible come from the ranker itself.
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import Tensor
from torch.nn import functional as F

from trainer.export import columns
from trainer.export.layers import Layer

TILES = (64, 128, 256)  # rows; 128 rows of 1,000 inputs are half a second-level cache of 1 MB
RUNS = 7


@dataclass(frozen=True)
class Form:
    """How layers run.

    tile: rows at a time, transposed; None: all rows at once, dense.
    sparse: for each layer in tiles, whether it runs on its non-zero weights alone.
    gather: dense only; drops inputs that nothing uses first.
    """

    tile: int | None = None
    sparse: tuple[bool, ...] = ()
    gather: bool = False


class Subnetwork:
    """Layers in a form: x [B, inputs] -> [B, outputs of the last layer]. On the CPU, without gradients."""

    def __init__(self, layers: Sequence[Layer], form: Form) -> None:
        self.form = form
        self._inputs = None
        if form.gather:
            first, *others = layers
            self._inputs = (first.weight != 0).any(dim=0).nonzero().squeeze(1)
            layers = [Layer(first.weight[:, self._inputs], first.bias), *others]
        self._layers = [Layer(layer.weight.contiguous(), layer.bias) for layer in layers]
        self._tiled = [
            (columns.sparse if sparse else columns.dense)(layer.weight, layer.bias)
            for layer, sparse in zip(self._layers, form.sparse, strict=False)
        ]

    @torch.inference_mode()
    def __call__(self, x: Tensor) -> Tensor:
        if self.form.tile is not None:
            found = x.new_empty(len(x), len(self._layers[-1].bias))
            threads = torch.get_num_threads()
            list(_single_threads(threads).map(self._in_tiles, x.contiguous().chunk(threads), found.chunk(threads)))
            return found
        if self._inputs is not None:
            x = x[:, self._inputs]
        for layer in self._layers[:-1]:
            x = F.linear(x, layer.weight, layer.bias).relu_()
        return F.linear(x, self._layers[-1].weight, self._layers[-1].bias)

    @torch.inference_mode()
    def _in_tiles(self, x: Tensor, found: Tensor) -> None:
        assert self.form.tile is not None
        for rows, of_rows in zip(torch.split(x, self.form.tile), torch.split(found, self.form.tile), strict=True):
            of_rows.copy_(self._tile(rows))

    def _tile(self, rows: Tensor) -> Tensor:
        found = columns.transposed(rows)
        for layer in self._tiled[:-1]:
            found = layer(found).relu_()
        return columns.transposed(self._tiled[-1](found))


@cache
def _single_threads(threads: int) -> ThreadPoolExecutor:
    """Threads that each work on rows of their own, with a single torch thread inside: every layer of a tile is short.

    OpenMP's own threads keep spinning for some ms after a dense product and take a core meanwhile, unless
    OMP_WAIT_POLICY=PASSIVE is set for the process: 2.3 times dense at 80 % pruned becomes 1.4 times on 2 cores.
    """
    started = threading.Barrier(threads)

    def start() -> None:
        torch.get_num_threads()  # the first call copies the process's number to this thread, so it must come first
        torch.set_num_threads(1)
        started.wait()

    pool = ThreadPoolExecutor(threads, "subnetwork", initializer=start)
    list(pool.map(lambda _: None, range(threads)))
    torch.set_num_threads(threads)  # MKL has one number for all threads
    return pool


def fastest(layers: Sequence[Layer], x: Tensor) -> Subnetwork:
    """The layers in the form that is fastest for inputs like x [B, inputs], on torch's current threads."""
    candidates = [Subnetwork(layers, Form(gather=gather)) for gather in (False, True)]
    candidates += [Subnetwork(layers, Form(tile, _sparse_layers(layers, tile))) for tile in TILES]
    times = seconds([partial(candidate, x) for candidate in candidates], RUNS)
    # the minimum over the runs: anything else that the machine did can only have made a run longer
    return min(zip(times, candidates, strict=True), key=lambda pair: min(pair[0]))[1]


@torch.inference_mode()
def _sparse_layers(layers: Sequence[Layer], tile: int) -> tuple[bool, ...]:
    """Which layers are faster on their non-zero weights alone, measured on inputs of ones."""
    chosen = []
    for layer in layers:
        forms = [form(layer.weight.contiguous(), layer.bias) for form in (columns.dense, columns.sparse)]
        tried = torch.ones(layer.weight.shape[1], tile)
        dense, sparse = map(min, seconds([partial(form, tried) for form in forms], 5 * RUNS))
        chosen.append(sparse < dense)
    return tuple(chosen)


def seconds(calls: Sequence[Callable[[], object]], runs: int) -> list[list[float]]:
    """Seconds of each call, `runs` times in turn, after one call each to warm up."""
    times: list[list[float]] = [[] for _ in calls]
    for run in range(runs + 1):
        for call, of_call in zip(calls, times, strict=True):
            started = time.perf_counter()
            call()
            if run:
                of_call.append(time.perf_counter() - started)
    return times
