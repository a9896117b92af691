"""The network that a mask leaves, cut out and run in every form, against the masked dense network."""

from itertools import pairwise, product

import pytest
import torch
from torch import Tensor

from trainer.export import columns
from trainer.export.forms import Form, Subnetwork, fastest
from trainer.export.layers import Layer, cut, layers_of
from trainer.export.subnetwork import export, stored_bytes
from trainer.parts.groups import Groups
from trainer.parts.mask import Mask
from trainer.parts.sharing import SparseSharing
from trainer.pruning.prune import prune_neurons

WIDTH, HIDDEN = 150, [200, 100]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def weights_pruned(network: SparseSharing, share: float) -> Mask:
    """At random, and every third input; not the output layer, of which too little would be left to see a difference."""
    shapes = {name: weight.shape for name, weight in network.net.weights.items()}
    kept = {name: torch.rand(shape, generator=random()) >= share for name, shape in shapes.items()}
    kept["layer0"][:, ::3] &= share == 0  # inputs that nothing uses
    return Mask({**kept, "layer2": torch.ones(shapes["layer2"], dtype=torch.bool)})


def neurons_pruned(network: SparseSharing, share: float) -> Mask:
    weights = {name: weight.detach() for name, weight in network.net.weights.items()}
    return prune_neurons(Mask.ones(weights), weights, share)


def masked(prune, share: float) -> SparseSharing:
    """sNET under a mask, with biases as after training."""
    mask = prune(SparseSharing([WIDTH, *HIDDEN, 1], ["ctr"], 0, None), share)
    network = SparseSharing([WIDTH, *HIDDEN, 1], ["ctr"], 0, {"ctr": mask})
    for bias in (*network.net.biases.values(), network.output_bias["ctr"]):
        torch.nn.init.normal_(bias, generator=random(1))
    return network


def layer(weight: list[list[float]], bias: list[float]) -> Layer:
    return Layer(torch.tensor(weight), torch.tensor(bias))


def numbers(layers: list[Layer]) -> list[tuple[object, object]]:
    return [(each.weight.tolist(), each.bias.tolist()) for each in layers]


def test_constant_and_useless_neurons_by_hand():
    """Neuron 0 stays; 1 has no incoming weights and relu(3) = 3; 2 has none and relu(-5) = 0; 3 is not used."""
    first = layer([[1, 0], [0, 0], [0, 0], [4, 5]], [7, 3, -5, 9])
    second = layer([[2, 10, 20, 0]], [0.5])
    assert numbers(cut([first, second])) == [([[1, 0]], [7]), ([[2]], [30.5])]


def test_a_neuron_fed_by_constants_alone_is_a_constant():
    """1 -> relu(2) = 2 -> relu(3 * 2 + 1) = 7 -> 5 * 7 + 4 = 39, beside x -> x -> x -> x."""
    first = layer([[1], [0]], [0, 2])
    second = layer([[1, 0], [0, 3]], [0, 1])
    third = layer([[1, 5]], [4])
    assert numbers(cut([first, second, third])) == [([[1]], [0]), ([[1]], [0]), ([[1]], [39])]


def test_a_neuron_that_feeds_useless_ones_alone_is_useless():
    first = layer([[1], [6]], [0, 2])
    second = layer([[1, 0], [0, 3]], [0, 1])
    third = layer([[1, 0]], [4])
    assert numbers(cut([first, second, third])) == [([[1]], [0]), ([[1]], [0]), ([[1]], [4])]


PRUNED = [*product([weights_pruned], [0, 0.8, 0.9, 0.95, 1]), *product([neurons_pruned], [0.5, 0.8])]
TILED = [Form(tile, sparse) for tile in (7, 64, 128) for sparse in product((False, True), repeat=3)]


@pytest.mark.parametrize(("prune", "share"), PRUNED)
def test_every_form_is_the_masked_network(prune, share):
    network = masked(prune, share)
    x = torch.randn(100, WIDTH, generator=random(2))
    wanted = network(x, ["ctr"])["ctr"].squeeze(-1)
    assert share == 1 or wanted.std() > 0.01
    for layers in (layers_of(network, "ctr"), cut(layers_of(network, "ctr"))):
        for form in (Form(), Form(gather=True), *TILED):
            got = Subnetwork(layers, form)(x).squeeze(-1)
            torch.testing.assert_close(got, wanted, rtol=0, atol=1e-5, msg=str(form))


@pytest.mark.parametrize("rows", [0, 1, 2, 100])
def test_tiles_on_two_threads_are_the_masked_network(rows: int):
    torch.set_num_threads(2)
    network = masked(weights_pruned, 0.8)
    x = torch.randn(rows, WIDTH, generator=random(2))
    got = Subnetwork(layers_of(network, "ctr"), Form(7, (True, False, True)))(x).squeeze(-1)
    torch.testing.assert_close(got, network(x, ["ctr"])["ctr"].squeeze(-1).detach(), rtol=0, atol=1e-5)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("prune", "share"), PRUNED)
def test_cut_leaves_no_constant_or_useless_neuron(prune, share):
    layers = cut(layers_of(masked(prune, share), "ctr"))
    for before, after in pairwise(layers):
        assert (before.weight != 0).any(dim=1).all()
        assert (after.weight != 0).any(dim=0).all()
    if prune is neurons_pruned:
        assert [len(each.bias) for each in layers] == [round(200 * (1 - share)), round(100 * (1 - share)), 1]


def test_the_fastest_form_is_chosen():
    x = torch.randn(512, 600, generator=random(2))
    full = Layer(torch.randn(300, 600, generator=random()), torch.zeros(300))
    nearly_empty = Layer(full.weight * (torch.rand(300, 600, generator=random(1)) < 0.01), full.bias)
    assert not any(fastest([full], x).form.sparse)
    assert fastest([nearly_empty], x).form.sparse == (True,)


def test_the_exported_network_replaces_the_shared_one():
    heads = ["ctr", "cvr"]
    dense = SparseSharing([WIDTH, *HIDDEN, 1], heads, 0, None)
    masks = {"ctr": weights_pruned(dense, 0.9), "cvr": neurons_pruned(dense, 0.8)}
    network = SparseSharing([WIDTH, *HIDDEN, 1], heads, 0, masks)
    torch.nn.init.constant_(network.output_bias["cvr"], 2)
    x = torch.randn(300, WIDTH, generator=random(2))
    wanted, got = network(x, heads), export(network, x[:256])(x, heads)
    assert list(got) == heads
    assert not torch.allclose(wanted["ctr"], wanted["cvr"], atol=1)
    for head in heads:
        torch.testing.assert_close(got[head], wanted[head].detach(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("shape", [(5, 7), (1, 7), (5, 1), (64, 90), (0, 7), (5, 0)])
def test_transposed(shape: tuple[int, int]):
    matrix: Tensor = torch.randn(shape, generator=random())
    got = columns.transposed(matrix)
    assert torch.equal(got, matrix.t())
    assert got.is_contiguous()


def test_stored_bytes_by_hand():
    """4 -> 2 -> 1: 10 weights, 3 biases, 2 output biases at 4 bytes, and 2 masks of 10 bits; alone 2 * 13 * 4."""
    assert stored_bytes(SparseSharing([4, 2, 1], ["ctr", "cvr"], 0, None)) == (4 * 15 + 2 * 2, 104)


def test_every_group_of_rows_has_a_sub_network_of_its_own():
    """Clusters under masks: rows of clusters 1 and 2, and of 7, which has no weights of its own."""
    dense = SparseSharing([WIDTH, *HIDDEN, 1], ["ctr"], 0, None)
    network = SparseSharing([WIDTH, *HIDDEN, 1], ["ctr"], 0, {"ctr": weights_pruned(dense, 0.8)}, groups=[1, 2])
    for number, parameter in enumerate(network.net.of_groups.parameters()):
        torch.nn.init.normal_(parameter, mean=1, generator=random(number))
    x = torch.randn(300, WIDTH, generator=random(2))
    groups = Groups.of(torch.tensor([1, 2, 7]).repeat(100))
    wanted = network(x, ["ctr"], groups)["ctr"].detach()
    assert not torch.allclose(wanted, network(x, ["ctr"])["ctr"], atol=1)
    torch.testing.assert_close(export(network, x[:256])(x, ["ctr"], groups)["ctr"], wanted, rtol=1e-4, atol=1e-4)
