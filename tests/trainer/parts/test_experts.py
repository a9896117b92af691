"""Experts and gates: MoE, MMoE and CGC."""

import pytest
import torch

from trainer.parts.experts import Experts

HEADS = ("ctr", "cvr")
KINDS = {"moe": (3, 0, False), "mmoe": (3, 0, True), "cgc": (2, 1, True)}


def network(kind, layers=1, seed=0):
    shared, own, gate_per_head = KINDS[kind]
    net = Experts(
        [5, 4, 3, 1],
        expert_layers=layers,
        heads=HEADS,
        shared=shared,
        own=own,
        gate_per_head=gate_per_head,
        seed=seed,
    )
    random = torch.Generator().manual_seed(1)
    for name, parameter in net.named_parameters():
        if "bias" in name:  # zero at the start, so that nothing would be seen of them
            torch.nn.init.uniform_(parameter, -0.5, 0.5, generator=random)
    return net


def inputs(rows=32):
    return torch.randn(rows, 5, generator=torch.Generator().manual_seed(0))


def own_of(kind):
    return KINDS[kind][1]


def expert_vector(experts, e, row, width):
    """What expert e makes of one row, layer by layer."""
    first, bias = experts.first.weights["layer0"], experts.first.biases["layer0"]
    vector = torch.relu(first[e * width : (e + 1) * width] @ row + bias[e * width : (e + 1) * width])
    for layer, weights in experts.upper.items():
        vector = torch.relu(vector @ weights[e] + experts.biases[layer][e, 0])
    return vector


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_it_equals_a_literal_loop_over_rows_heads_and_experts(kind, layers):
    net, x = network(kind, layers), inputs(8)
    logits = net(x, HEADS)
    for head in HEADS:
        gate = net.gates["all" if kind == "moe" else head]
        for n, row in enumerate(x):
            vectors = [expert_vector(net.shared, e, row, 4) for e in range(KINDS[kind][0])]
            if own_of(kind):
                vectors.append(expert_vector(net.own[head], 0, row, 4))
            scores = torch.exp(gate.weights["layer0"] @ row + gate.biases["layer0"])
            mixed = sum(score / scores.sum() * vector for score, vector in zip(scores, vectors, strict=True))
            tower = net.towers[head]
            for layer in tower.weights:
                mixed = tower.weights[layer] @ mixed + tower.biases[layer]
                mixed = mixed.relu() if layer != list(tower.weights)[-1] else mixed
            assert torch.allclose(logits[head][n], mixed[0], atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_gates_sum_to_one(kind):
    """When all experts say the same, it does not matter how they are mixed."""
    net, x = network(kind), inputs()
    one = net.shared.first
    with torch.no_grad():
        weight, bias = one.weights["layer0"][:4].clone(), one.biases["layer0"][:4].clone()
        for experts in (net.shared, *net.own.values()):
            experts.first.weights["layer0"].copy_(weight.repeat(experts.experts, 1))
            experts.first.biases["layer0"].copy_(bias.repeat(experts.experts))
        before = net(x, HEADS)
        for gate in net.gates.values():
            gate.weights["layer0"].mul_(-3)
        after = net(x, HEADS)
    assert all(torch.allclose(before[head], after[head], atol=1e-5) for head in HEADS)


def test_moe_has_one_gate_and_the_others_one_a_head():
    assert {kind: set(network(kind).gates) for kind in KINDS} == {
        "moe": {"all"},
        "mmoe": {"ctr", "cvr"},
        "cgc": {"ctr", "cvr"},
    }


@pytest.mark.parametrize(("kind", "same"), [("moe", True), ("mmoe", False)])
def test_heads_with_equal_towers_differ_by_their_gates_alone(kind, same):
    net, x = network(kind), inputs()
    net.towers["cvr"].load_state_dict(net.towers["ctr"].state_dict())
    logits = net(x, HEADS)
    assert torch.equal(logits["ctr"], logits["cvr"]) == same


def test_an_expert_of_one_head_gets_no_gradient_from_another():
    net, x = network("cgc"), inputs()
    net(x, ["ctr"])["ctr"].square().sum().backward()
    assert all(parameter.grad is None for parameter in net.own["cvr"].parameters())
    assert all(parameter.grad is None for parameter in net.gates["cvr"].parameters())
    for part in (net.own["ctr"], net.shared):
        assert all((parameter.grad != 0).any() for parameter in part.parameters())
    net.zero_grad()
    logits = net(x, HEADS)  # both heads in one pass, as the entire-space objectives ask for them
    logits["ctr"].square().sum().backward()
    assert all(parameter.grad is None or not parameter.grad.any() for parameter in net.own["cvr"].parameters())


def test_experts_start_apart():
    first = network("mmoe").shared.first.weights["layer0"].detach().view(3, 4, 5)
    assert not torch.equal(first[0], first[1]) and not torch.equal(first[1], first[2])
