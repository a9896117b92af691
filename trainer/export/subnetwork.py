"""The network that a head's mask leaves of sNET: cut out exactly, then run in the fastest form that is exact.

A neuron without outgoing weights does nothing. One without incoming weights is the constant relu(bias), which the next
layer's bias takes up. What then remains is sparse without a pattern, and runs either dense, zeros included, or in tiles
of some rows whose layers are sparse where that pays (trainer/export/columns.py). Which is faster depends on the
processor, and is measured there when the network is exported.

The forms agree to rounding and not to the bit, so this is for serving. Tables that must come out the same every time
are made by the ranker itself (trainer/evaluation/predict.py).
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.export import columns
from trainer.parts.sharing import SparseSharing

TILES = (64, 128, 256)  # rows; 128 rows of 1,000 inputs are half a second-level cache of 1 MB
RUNS = 7


@dataclass(frozen=True)
class Layer:
    """weight [out, in], zero where masked; bias [out]."""

    weight: Tensor
    bias: Tensor


def layers_of(network: SparseSharing, head: str) -> list[Layer]:
    """sNET under the mask of a head, whose output bias goes into the last layer's."""
    masks = network.masks_of(head)
    layers = [
        Layer((weight * masks[name]).detach(), network.net.biases[name].detach())
        for name, weight in network.net.weights.items()
    ]
    return [*layers[:-1], Layer(layers[-1].weight, layers[-1].bias + network.output_bias[head].detach())]


def cut(layers: Sequence[Layer]) -> list[Layer]:
    """The same function of the same inputs with as few neurons as can be (ReLU between the layers)."""
    found = list(layers)
    for n in range(len(found) - 1):  # from the front: a constant may be all that feeds a neuron further on
        layer, following = found[n], found[n + 1]
        constant = (layer.weight == 0).all(dim=1)
        taken_up = following.weight[:, constant] @ layer.bias[constant].relu()
        found[n] = Layer(layer.weight[~constant], layer.bias[~constant])
        found[n + 1] = Layer(following.weight[:, ~constant], following.bias + taken_up)
    for n in range(len(found) - 1, 0, -1):  # from the back: a useless neuron may be all that another one feeds
        layer, before = found[n], found[n - 1]
        used = (layer.weight != 0).any(dim=0)
        found[n] = Layer(layer.weight[:, used], layer.bias)
        found[n - 1] = Layer(before.weight[used], before.bias[used])
    return found


@dataclass(frozen=True)
class Form:
    """How layers are run.

    tile: rows at a time, transposed; None: all at once, dense.
    sparse: of the layers in tiles, which run on their non-zero weights alone.
    gather: dense only: inputs that nothing uses are left out first.
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
        self._steps = [
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
        for step in self._steps[:-1]:
            found = step(found).relu_()
        return columns.transposed(self._steps[-1](found))


@cache
def _single_threads(threads: int) -> ThreadPoolExecutor:
    """Threads in which torch uses no further ones, each for rows of its own: every layer of a tile is short work.

    OpenMP's threads go on for some ms after a dense product before, unless OMP_WAIT_POLICY=PASSIVE is set for the
    process, and take these a core meanwhile: 2.3 times dense at 80 % pruned is then 1.4 times, on 2 cores.
    """
    started = threading.Barrier(threads)

    def start() -> None:
        torch.get_num_threads()  # the first question sets a thread's number to the process's, and must come before
        torch.set_num_threads(1)
        started.wait()

    pool = ThreadPoolExecutor(threads, "subnetwork", initializer=start)
    list(pool.map(lambda _: None, range(threads)))
    torch.set_num_threads(threads)  # MKL has one number for all threads
    return pool


def fastest(layers: Sequence[Layer], x: Tensor) -> Subnetwork:
    """The layers in the form that takes the least time for inputs like x [B, inputs], on the threads torch has now."""
    candidates = [Subnetwork(layers, Form(gather=gather)) for gather in (False, True)]
    candidates += [Subnetwork(layers, Form(tile, _sparse_layers(layers, tile))) for tile in TILES]
    times = seconds([partial(candidate, x) for candidate in candidates], RUNS)
    # the least of the turns: whatever else the machine did only ever made one longer
    return min(zip(times, candidates, strict=True), key=lambda pair: min(pair[0]))[1]


@torch.inference_mode()
def _sparse_layers(layers: Sequence[Layer], tile: int) -> tuple[bool, ...]:
    """Which layers are faster on their non-zero weights alone; none of them on any input in particular."""
    chosen = []
    for layer in layers:
        steps = [form(layer.weight.contiguous(), layer.bias) for form in (columns.dense, columns.sparse)]
        tried = torch.ones(layer.weight.shape[1], tile)
        dense, sparse = map(min, seconds([partial(step, tried) for step in steps], 5 * RUNS))
        chosen.append(sparse < dense)
    return tuple(chosen)


def seconds(calls: Sequence[Callable[[], object]], runs: int) -> list[list[float]]:
    """Of each call `runs` times, in turn, after one call each to warm up."""
    times: list[list[float]] = [[] for _ in calls]
    for run in range(runs + 1):
        for call, of_call in zip(calls, times, strict=True):
            started = time.perf_counter()
            call()
            if run:
                of_call.append(time.perf_counter() - started)
    return times


class ExportedSharing(nn.Module):
    """The sub-networks of all heads, in the place of SparseSharing: `ranker.network = export(ranker.network, x)`."""

    def __init__(self, heads: dict[str, Subnetwork]) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, x: Tensor, heads: Sequence[str]) -> dict[str, Tensor]:
        return {head: self.heads[head](x) for head in heads}


def export(network: SparseSharing, x: Tensor) -> ExportedSharing:
    """Every head's sub-network, each in its fastest form for inputs like x [B, width]."""
    return ExportedSharing({head: fastest(cut(layers_of(network, head)), x) for head in network.output_bias})


def stored_bytes(network: SparseSharing) -> tuple[int, int]:
    """sNET once, with a bit a weight and head; and a network of its own for each head. float32, not compressed."""
    heads = len(network.output_bias)
    weights = sum(weight.numel() for weight in network.net.weights.values())
    biases = sum(bias.numel() for bias in network.net.biases.values())
    return 4 * (weights + biases + heads) + heads * -(-weights // 8), heads * 4 * (weights + biases)
