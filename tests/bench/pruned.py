"""What pruning saves at inference: a masked network dense, in bf16, and exported (trainer/export).

    OMP_WAIT_POLICY=PASSIVE python -m tests.bench.pruned [--rows 4096] [--runs 15] [--threads 1 2] [--masks FILE]

Masks are drawn at random, the same share of every layer but the output layer; neurons go by the norm of their incoming
weights. A published mask, which has more of a pattern (dead inputs, dead neurons), is measured with --masks.
What is compared takes the same rows and gives the same rows, to 1e-4.
"""

import argparse
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from conf import cli
from tests.bench.turns import Turns, add_threads
from trainer.export.forms import Form, Subnetwork, fastest
from trainer.export.layers import Layer, cut, layers_of
from trainer.export.subnetwork import stored_bytes
from trainer.parts.mask import Mask
from trainer.parts.sharing import SparseSharing
from trainer.pruning.prune import prune_neurons

WIDTH = 1072  # inputs of the ranker on KuaiRand: 67 vectors of 16
SHAPES = ([512, 256, 128], [128, 64])  # LT4REC's, and that of conf/models
PRUNED = [("weights", 0.80), ("weights", 0.90), ("weights", 0.95), ("neurons", 0.50), ("neurons", 0.80)]
TABLE_ROWS, TABLE_DIM = 40_000, 16  # embedding, for what a whole model stores


def masked_network(hidden: list[int], kind: str, share: float) -> SparseSharing:
    shapes = {f"layer{n}": (after, before) for n, (before, after) in enumerate(pairwise([WIDTH, *hidden, 1]))}
    random = torch.Generator().manual_seed(0)
    if kind == "weights":
        kept = {name: torch.rand(shape, generator=random) >= share for name, shape in shapes.items()}
        mask = Mask({**kept, f"layer{len(hidden)}": torch.ones(1, hidden[-1], dtype=torch.bool)})
    else:
        weights = {name: torch.randn(shape, generator=random) for name, shape in shapes.items()}
        mask = prune_neurons(Mask.ones(weights), weights, share)
    network = SparseSharing([WIDTH, *hidden, 1], ["ctr", "cvr"], 0, {"ctr": mask, "cvr": mask})
    for bias in network.net.biases.values():
        torch.nn.init.normal_(bias, std=0.1, generator=random)
    return network


def dense(layers: list[Layer], x: Tensor) -> Tensor:
    return Subnetwork(layers, Form())(x)


def with_masks(layers: list[Layer], masks: list[Tensor], x: Tensor) -> Tensor:
    """As in training: weights times masks for every batch."""
    return dense([Layer(layer.weight * mask, layer.bias) for layer, mask in zip(layers, masks, strict=True)], x)


def compared(layers: list[Layer], remaining: list[Layer], alive: Tensor, x: Tensor, runs: int) -> tuple[Turns, Form]:
    """Layers and what remains of them, which gives the outputs that are alive; results are checked before."""
    exported = fastest(remaining, x)
    half = [Layer(layer.weight.bfloat16(), layer.bias.bfloat16()) for layer in layers]
    forms = {
        "dense": partial(dense, layers, x),
        "masked": partial(with_masks, layers, [(layer.weight != 0).float() for layer in layers], x),
        "bf16": partial(dense, half, x.bfloat16()),
        "cut": partial(Subnetwork(remaining, Form()), x),
        "exported": partial(exported, x),
    }
    wanted = forms["dense"]()
    assert torch.allclose(forms["masked"](), wanted, rtol=0, atol=1e-4)
    for name in ("cut", "exported"):
        difference = float((forms[name]() - wanted[:, alive]).abs().max())
        assert difference <= 1e-4, f"{name} differs by {difference}"
    return Turns(forms, runs), exported.form


def drawn(rows: int, runs: int) -> None:
    heading()
    for hidden in SHAPES:
        for kind, share in PRUNED:
            network = masked_network(hidden, kind, share)
            lines(network, "ctr", f"{'-'.join(map(str, hidden))} | {share:.0%} of {kind}", rows, runs)


def published(path: Path, rows: int, runs: int) -> None:
    tensors = torch.load(path, weights_only=True)
    masks = {task: Mask({name: kept.bool() for name, kept in layers.items()}) for task, layers in tensors.items()}
    shapes = list(next(iter(masks.values())).shapes().values())
    hidden = [after for after, _ in shapes[:-1]]
    network = SparseSharing([shapes[0][1], *hidden, 1], list(masks), 0, masks)
    heading()
    for task, mask in masks.items():
        lines(
            network, task, f"{shapes[0][1]}: {'-'.join(map(str, hidden))} | {mask.pruned_share:.0%}, {task}", rows, runs
        )


def heading() -> None:
    print("| hidden | pruned | what | dense | masked | bf16 | cut | exported | dense / exported | exported as |")
    print("|---|---|---|---|---|---|---|---|---|---|")


def lines(network: SparseSharing, head: str, label: str, rows: int, runs: int) -> None:
    """Of the first layer, whose dead neurons are left out, and of the whole network."""
    layers = layers_of(network, head)
    x = torch.randn(rows, layers[0].weight.shape[1], generator=torch.Generator().manual_seed(1))
    alive = (layers[0].weight != 0).any(dim=1)
    first = Layer(layers[0].weight[alive], layers[0].bias[alive])
    for what, whole, remaining, outputs in (
        ("layer 1", layers[:1], [first], alive),
        ("network", layers, cut(layers), torch.tensor([True])),
    ):
        turns, form = compared(whole, remaining, outputs, x, runs)
        cells = [f"{1e3 * turns.median(name):.2f}" for name in turns.seconds]
        print(f"| {label} | {what} |", " | ".join([*cells, turns.ratio("dense", "exported"), described(form)]), "|")


def described(form: Form) -> str:
    if form.tile is None:
        return "dense, inputs gathered" if form.gather else "dense"
    return f"tiles of {form.tile}, " + "-".join("sparse" if sparse else "dense" for sparse in form.sparse)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4096, help="rows of a batch, 4096 by default")
    parser.add_argument("--runs", type=int, default=15, help="turns, 15 by default")
    parser.add_argument("--masks", type=Path, help="a masks.pt of trainer.generate_masks")
    add_threads(parser)
    arguments = parser.parse_args()
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        print(f"\npruned: ms a batch of {arguments.rows:,} rows, {WIDTH} inputs, {threads} thread(s), medians")
        drawn(arguments.rows, arguments.runs)
        if arguments.masks:
            print(f"\n{arguments.masks}, on as many inputs as it has")
            published(arguments.masks, arguments.rows, arguments.runs)
    print("\nstored by CTR and CVR together, float32: sNET once and a bit a weight and task | a network a task")
    tables = 4 * TABLE_ROWS * TABLE_DIM
    for hidden in SHAPES:
        shared, apart = stored_bytes(masked_network(hidden, "weights", 0.8))
        name = "-".join(map(str, hidden))
        print(f"{name:12} {shared / 1e6:6.2f} MB | {apart / 1e6:6.2f} MB, {shared / apart:.0%}", end="; ")
        shared, apart = shared + tables, apart + 2 * tables
        print(f"with tables of {TABLE_ROWS:,} ids {shared / 1e6:6.2f} MB | {apart / 1e6:6.2f} MB, {shared / apart:.0%}")


if __name__ == "__main__":
    cli.run(main)
