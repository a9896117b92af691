"""Rows by group: taken apart, through weights of their own, and back in order."""

import torch
import torch.nn.functional as F

from trainer.parts.dense import Dense
from trainer.parts.groups import Groups


def test_rows_are_split_by_group_and_joined_in_order():
    groups = Groups.of(torch.tensor([3, 1, 3, 7, 1]))
    x = torch.arange(5)
    assert [(group, rows.tolist()) for group, rows in groups.split(x)] == [(1, [1, 4]), (3, [0, 2]), (7, [3])]
    assert torch.equal(groups.join([rows for _, rows in groups.split(x)]), x)


def layers() -> Dense:
    dense = Dense([2, 3, 1], seed=0, name="d", last_activation=False, groups=[2, 5])
    with torch.no_grad():
        for parameter in dense.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())))
    return dense


def test_a_row_sees_the_shared_weights_times_its_groups_own():
    dense, x = layers(), torch.randn(4, 2, generator=torch.Generator().manual_seed(1))
    found = dense(x, groups=Groups.of(torch.tensor([5, 2, 9, 5])))
    for row, group in enumerate(["5", "2", None, "5"]):
        expected = x[row : row + 1]
        for layer in ("layer0", "layer1"):
            weight, bias = dense.weights[layer], dense.biases[layer]
            if group:
                own = dense.of_groups[group]
                weight, bias = weight * own.factors[layer], bias + own.biases[layer]
            expected = F.linear(expected, weight, bias)
            expected = expected.relu() if layer == "layer0" else expected
        assert torch.allclose(found[row], expected[0], atol=1e-6)


def test_groups_start_as_the_shared_layers():
    grouped = Dense([2, 3, 1], 0, "d", last_activation=False, groups=[2, 5])
    plain = Dense([2, 3, 1], 0, "d", last_activation=False)
    x = torch.randn(4, 2)
    assert torch.equal(grouped(x, groups=Groups.of(torch.tensor([2, 2, 2, 2]))), plain(x))


def test_only_the_groups_of_the_rows_get_a_gradient():
    dense = layers()
    dense(torch.ones(3, 2), groups=Groups.of(torch.tensor([5, 5, 9]))).sum().backward()
    assert all(p.grad is not None for p in [*dense.weights.values(), *dense.of_groups["5"].parameters()])
    assert all(p.grad is None for p in dense.of_groups["2"].parameters())


def test_factors_multiply():
    dense, x = layers(), torch.ones(1, 2)
    mask = {"layer0": torch.tensor([[1.0, 0.0]] * 3), "layer1": torch.tensor([[1.0, 1.0, 0.0]])}
    found = dense(x, [mask], Groups.of(torch.tensor([2])))
    own = dense.of_groups["2"]
    hidden = F.linear(
        x,
        dense.weights["layer0"] * mask["layer0"] * own.factors["layer0"],
        dense.biases["layer0"] + own.biases["layer0"],
    ).relu()
    expected = F.linear(
        hidden,
        dense.weights["layer1"] * mask["layer1"] * own.factors["layer1"],
        dense.biases["layer1"] + own.biases["layer1"],
    )
    assert torch.allclose(found, expected)
