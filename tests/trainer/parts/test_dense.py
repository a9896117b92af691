"""Effective weights: the product of a weight and its factors."""

import torch

from trainer.parts.dense import Dense, effective

WEIGHT = torch.tensor([[1.0, 2.0], [3.0, -4.0]])
TWOS = {"layer0": torch.tensor([[2.0, 2.0], [0.5, 1.0]]), "layer1": torch.tensor([[3.0, 1.0]])}
MASK = {"layer0": torch.tensor([[1.0, 0.0], [1.0, 1.0]]), "layer1": torch.tensor([[1.0, 1.0]])}


def test_factors_multiply_by_hand() -> None:
    assert effective(WEIGHT, "layer0", []) is WEIGHT
    assert effective(WEIGHT, "layer0", [TWOS]).tolist() == [[2, 4], [1.5, -4]]
    assert effective(WEIGHT, "layer0", [TWOS, MASK]).tolist() == [[2, 0], [1.5, -4]]
    assert WEIGHT.tolist() == [[1, 2], [3, -4]]


def dense(*, last_activation: bool = False) -> Dense:
    """2 -> 2 -> 1, with the weights below."""
    built = Dense([2, 2, 1], seed=0, name="d", last_activation=last_activation)
    with torch.no_grad():
        built.weights["layer0"].copy_(WEIGHT)
        built.biases["layer0"].copy_(torch.tensor([1.0, 0.0]))
        built.weights["layer1"].copy_(torch.tensor([[1.0, -2.0]]))
        built.biases["layer1"].copy_(torch.tensor([0.5]))
    return built


def test_two_factors_on_every_layer_by_hand() -> None:
    """x = (1, 1). Layer 0: [[2, 0], [1.5, -4]] x + (1, 0) = (3, -2.5) -> relu (3, 0). Layer 1: [3, -2] -> 9 + 0.5.

    Without factors: (1 + 2 + 1, 3 - 4) = (4, -1) -> (4, 0) -> 4 + 0.5; under the mask alone (2, -1) -> 2 + 0.5.
    """
    x, part = torch.tensor([[1.0, 1.0]]), dense()
    assert part(x).item() == 4.5
    assert part(x, [MASK]).item() == 2.5
    assert part(x, [TWOS, MASK]).item() == part(x, [MASK, TWOS]).item() == 9.5


def test_a_last_activation_cuts_what_is_negative() -> None:
    x, negated = torch.tensor([[1.0, 1.0]]), {**TWOS, "layer1": -TWOS["layer1"]}
    assert dense()(x, [negated]).item() == -3 * (2 + 4 + 1) + 0.5
    assert dense(last_activation=True)(x, [negated]).item() == 0


def test_factors_write_to_no_parameter_and_scale_its_gradient() -> None:
    part = dense()
    before = {name: parameter.detach().clone() for name, parameter in part.named_parameters()}
    part(torch.tensor([[1.0, 1.0]]), [TWOS, MASK]).sum().backward()
    assert all(torch.equal(before[name], parameter) for name, parameter in part.named_parameters())
    # of the first layer only neuron 0 is alive; its effective outgoing weight is 3, its factors are 2 and 2 * 0
    assert part.weights["layer0"].grad.tolist() == [[6, 0], [0, 0]]
