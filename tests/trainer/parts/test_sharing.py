"""What a mask means: LT4REC section 2.2."""

import torch
import torch.nn.functional as F
from torch import nn

from conf.settings.model_file import Optimiser
from conf.settings.run_file import Feature
from trainer.parts.cross import Cross
from trainer.parts.embedding import Embedding
from trainer.parts.mask import Mask
from trainer.parts.sharing import SharedBottom, SparseSharing
from trainer.training.optimiser import StepOptimiser

TASKS = ("ctr", "cvr")
WIDTHS = {"layer0": (6, 5), "layer1": (4, 6), "layer2": (1, 4)}


def random_masks():
    random = torch.Generator().manual_seed(3)
    return {task: Mask({n: torch.rand(s, generator=random) < 0.7 for n, s in WIDTHS.items()}) for task in TASKS}


def snet(masks=None):
    return SparseSharing([5, 6, 4, 1], TASKS, seed=0, masks=masks)


def inputs():
    return torch.randn(256, 5, generator=torch.Generator().manual_seed(0))


def test_a_task_sees_exactly_the_network_times_its_mask():
    masks = random_masks()
    net = snet(masks)
    x = inputs()
    for bias, task in enumerate(TASKS, start=1):
        torch.nn.init.constant_(net.output_bias[task], bias)
    for task in TASKS:
        expected = x
        for layer in WIDTHS:
            weight = net.net.weights[layer].detach().clone()
            weight[~masks[task].layers[layer]] = 0
            expected = F.linear(expected, weight, net.net.biases[layer])
            expected = expected.relu() if layer != "layer2" else expected
        assert torch.equal(net(x, [task])[task], expected + net.output_bias[task])
    assert not torch.allclose(net(x, ["ctr"])["ctr"], net(x, ["cvr"])["cvr"])


def test_a_weight_masked_for_a_task_gets_no_gradient_from_it():
    masks = random_masks()
    for task in TASKS:
        net = snet(masks)
        net(inputs(), [task])[task].square().sum().backward()
        for layer, kept in masks[task].layers.items():
            gradient = net.net.weights[layer].grad
            assert (gradient[~kept] == 0).all()
            assert (gradient[kept] != 0).any()


def test_forward_leaves_the_parameters_alone():
    net = snet(random_masks())
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    net(inputs(), ["ctr"])["ctr"]
    assert all(torch.equal(before[name], p) for name, p in net.named_parameters())


def test_masks_cover_weight_matrices_and_nothing_else():
    net = snet()
    masked = set(net.mask_of("ctr"))
    assert masked == set(WIDTHS)
    assert {n: tuple(w.shape) for n, w in net.net.weights.items()} == WIDTHS


def test_hard_sharing_shares_the_bottom_only():
    towers = SharedBottom([5, 6, 4, 1], 1, TASKS, seed=0)
    towers(inputs(), ["ctr"])["ctr"].sum().backward()
    assert towers.bottom.weights["layer0"].grad is not None
    assert towers.towers["ctr"].weights["layer0"].grad is not None
    assert towers.towers["cvr"].weights["layer0"].grad is None


def test_without_a_bottom_nothing_is_shared():
    towers = SharedBottom([5, 6, 4, 1], 0, TASKS, seed=0)
    assert not list(towers.bottom.parameters())
    assert [tuple(w.shape) for w in towers.towers["cvr"].weights.values()] == list(WIDTHS.values())


def test_cross_multiplies_the_pairs_by_hand():
    vectors = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]])
    cross = Cross([Feature(name=n, table="items", cross=n != "b") for n in "abc"], dim=2)
    assert cross.width == 8
    assert cross(vectors).tolist() == [[1, 2, 3, 4, 5, 6, 5, 12]]


def test_a_step_of_one_task_leaves_the_weights_masked_for_it_unchanged_to_the_bit():
    masks = random_masks()
    net = snet(masks)
    table = Embedding([Feature(name="user", table="users")], {"user": 3}, dim=5, seed=0, name="e")
    optimiser = StepOptimiser(nn.ModuleList([table, net]), TASKS, Optimiser())
    x = inputs()
    for task in ("cvr", "ctr", "cvr", "ctr", "ctr"):  # momentum of one task must not move what the other leaves out
        before = {layer: weight.detach().clone() for layer, weight in net.net.weights.items()}
        optimiser.zero_grad()
        net(x, [task])[task].square().mean().backward()
        optimiser.step(task)
        for layer, kept in masks[task].layers.items():
            after = net.net.weights[layer].detach()
            assert torch.equal(after[~kept], before[layer][~kept])
            assert not torch.equal(after[kept], before[layer][kept])
