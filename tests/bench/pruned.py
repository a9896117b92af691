"""What pruning saves at inference: a pruned network run dense, in bf16, and exported (trainer/export).

    OMP_WAIT_POLICY=PASSIVE python -m tests.bench.pruned [--rows 4096] [--runs 15] [--threads 1 2] [--masks FILE]

Masks are random, with the same share of each layer but the output layer; neurons are pruned by the norm of their
incoming weights. --masks measures published masks, whose pattern is less even (dead inputs, dead neurons). All forms
get the same rows, and their outputs must agree to 1e-4.
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
SHAPES = ([512, 256, 128], [128, 64])  # hidden layers: LT4REC's, and those of conf/models
PRUNED_SHARES = [("weights", 0.80), ("weights", 0.90), ("weights", 0.95), ("neurons", 0.50), ("neurons", 0.80)]
TABLE_ROWS, TABLE_DIM = 40_000, 16  # embedding tables, for the size of a whole model


def masked_network(hidden: list[int], kind: str, share: float) -> SparseSharing:
    shapes = {f"layer{n}": (after, before) for n, (before, after) in enumerate(pairwise([WIDTH, *hidden, 1]))}
    random = torch.Generator().manual_seed(0)
    if kind == "weights":
        kept = {name: torch.rand(shape, generator=random) >= share for name, shape in shapes.items()}
        mask = Mask({**kept, f"layer{len(hidden)}": torch.ones(1, hidden[-1], dtype=torch.bool)})
    else:
        weights = {name: torch.randn(shape, generator=random) for name, shape in shapes.items()}
        mask = prune_neurons(Mask.ones(weights), weights, share)
    network = SparseSharing([WIDTH, *hidden, 1], ["ctr", "cvr"], seed=0, masks={"ctr": mask, "cvr": mask})
    for bias in network.net.biases.values():
        torch.nn.init.normal_(bias, std=0.1, generator=random)
    return network


def run_dense(layers: list[Layer], x: Tensor) -> Tensor:
    return Subnetwork(layers, Form())(x)


def run_masked(layers: list[Layer], masks: list[Tensor], x: Tensor) -> Tensor:
    """As in training: weights times masks in every batch."""
    return run_dense([Layer(layer.weight * mask, layer.bias) for layer, mask in zip(layers, masks, strict=True)], x)


def time_forms(layers: list[Layer], remaining: list[Layer], alive: Tensor, x: Tensor, runs: int) -> tuple[Turns, Form]:
    """Times all forms in turn, after checking that they agree.

    remaining: the layers without dead neurons, which give the outputs that are `alive` (bool [outputs]).
    """
    exported = fastest(remaining, x)
    half = [Layer(layer.weight.bfloat16(), layer.bias.bfloat16()) for layer in layers]
    forms = {
        "dense": partial(run_dense, layers, x),
        "masked": partial(run_masked, layers, [(layer.weight != 0).float() for layer in layers], x),
        "bf16": partial(run_dense, half, x.bfloat16()),
        "cut": partial(Subnetwork(remaining, Form()), x),
        "exported": partial(exported, x),
    }
    expected = forms["dense"]()
    assert torch.allclose(forms["masked"](), expected, rtol=0, atol=1e-4)
    for name in ("cut", "exported"):
        difference = float((forms[name]() - expected[:, alive]).abs().max())
        assert difference <= 1e-4, f"{name} differs by {difference}"
    return Turns(forms, runs), exported.form


def measure_random_masks(rows: int, runs: int) -> None:
    print_heading()
    for hidden in SHAPES:
        for kind, share in PRUNED_SHARES:
            network = masked_network(hidden, kind, share)
            measure(network, "ctr", f"{name_of(hidden)} | {share:.0%} of {kind}", rows, runs)


def measure_published_masks(path: Path, rows: int, runs: int) -> None:
    tensors = torch.load(path, weights_only=True)
    masks = {task: Mask({name: kept.bool() for name, kept in layers.items()}) for task, layers in tensors.items()}
    shapes = list(next(iter(masks.values())).shapes().values())
    width, hidden = shapes[0][1], [after for after, _ in shapes[:-1]]
    network = SparseSharing([width, *hidden, 1], list(masks), seed=0, masks=masks)
    print_heading()
    for task, mask in masks.items():
        measure(network, task, f"{width}: {name_of(hidden)} | {mask.pruned_share:.0%}, {task}", rows, runs)


def name_of(hidden: list[int]) -> str:
    return "-".join(map(str, hidden))


def print_heading() -> None:
    print("| hidden | pruned | part | dense | masked | bf16 | cut | exported | dense / exported | exported as |")
    print("|---|---|---|---|---|---|---|---|---|---|")


def measure(network: SparseSharing, head: str, label: str, rows: int, runs: int) -> None:
    """Prints a line for the first layer without its dead neurons, and one for the whole network."""
    layers = layers_of(network, head)
    x = torch.randn(rows, layers[0].weight.shape[1], generator=torch.Generator().manual_seed(1))
    alive = (layers[0].weight != 0).any(dim=1)
    first = Layer(layers[0].weight[alive], layers[0].bias[alive])
    for part, whole, remaining, outputs in (
        ("layer 1", layers[:1], [first], alive),
        ("network", layers, cut(layers), torch.tensor([True])),
    ):
        turns, form = time_forms(whole, remaining, outputs, x, runs)
        cells = [f"{1e3 * turns.median(name):.2f}" for name in turns.seconds]
        print(f"| {label} | {part} |", " | ".join([*cells, turns.ratio("dense", "exported"), describe(form)]), "|")


def describe(form: Form) -> str:
    if form.tile is None:
        return "dense, inputs gathered" if form.gather else "dense"
    return f"tiles of {form.tile}, " + "-".join("sparse" if sparse else "dense" for sparse in form.sparse)


def print_sizes() -> None:
    print("\nstored for CTR and CVR, float32: sNET with a bit for each weight and task | a network for each task")
    tables = 4 * TABLE_ROWS * TABLE_DIM
    for hidden in SHAPES:
        shared, separate = stored_bytes(masked_network(hidden, "weights", 0.8))
        print(f"{name_of(hidden):12} {sizes(shared, separate)}", end="; ")
        print(f"with tables of {TABLE_ROWS:,} ids {sizes(shared + tables, separate + 2 * tables)}")


def sizes(shared: int, separate: int) -> str:
    return f"{shared / 1e6:6.2f} MB | {separate / 1e6:6.2f} MB, {shared / separate:.0%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4096, help="rows of a batch, 4096 by default")
    parser.add_argument("--runs", type=int, default=15, help="runs of each form, 15 by default")
    parser.add_argument("--masks", type=Path, help="a masks.pt of trainer.generate_masks")
    add_threads(parser)
    arguments = parser.parse_args()
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        print(f"\npruned: ms a batch of {arguments.rows:,} rows, {WIDTH} inputs, {threads} thread(s), medians")
        measure_random_masks(arguments.rows, arguments.runs)
        if arguments.masks:
            print(f"\n{arguments.masks}, with its own number of inputs")
            measure_published_masks(arguments.masks, arguments.rows, arguments.runs)
    print_sizes()


if __name__ == "__main__":
    cli.run(main)
