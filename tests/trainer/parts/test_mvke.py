"""MVKE against numbers worked out by hand, and what must hold for any weights."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from conf.load import load_model, load_settings
from conf.settings.model_file import TaggerModel
from etl.contract import columns_of
from trainer.data.batch import Batch
from trainer.data.layout import Layout
from trainer.models.tagger import Tagger, build_tagger
from trainer.parts.mvke import ProductGate, VirtualKernelExperts, VirtualKernelGate
from trainer.parts.two_tower import CosineScore
from trainer.seeding import generator

DEMO = Path(__file__).parents[3] / "conf" / "demo.toml"
SIZES = {"user_id": 9, "age": 6, "gender": 4, "region": 5, "tag": 8}


def put(parameter: nn.Parameter, values: object) -> None:
    with torch.no_grad():
        parameter.copy_(torch.as_tensor(values, dtype=torch.float32).reshape(parameter.shape))


def tagger(**changes: object) -> Tagger:
    layout = Layout.of(load_settings(DEMO).features)
    model = load_model("mvke")
    assert isinstance(model, TaggerModel)
    return build_tagger(model.model_copy(update=changes), layout, layout.feature("tag"), None, SIZES, seed=3)


def rows(tags: list[list[int]]) -> Batch:
    """Impressions of user 2, whose items carry these tags."""
    columns = columns_of(load_settings(DEMO).features)
    ids = torch.full((len(tags), len(columns)), 2)
    start = columns.index("f_tag_0")
    ids[:, start : start + 3] = torch.tensor(tags)
    return Batch(ids, {}, {}, torch.empty(len(ids), 0))


def experts_without_fields(count: int, *, fields: int = 1, **shape: Any) -> VirtualKernelExperts:
    """Embeddings of one number; what fields add to them is zero."""
    experts = VirtualKernelExperts(count, fields, 1, **shape, seed=0)
    put(experts.fields, [0] * fields)
    return experts


def test_the_vector_of_a_field_is_added_to_its_embedding() -> None:
    """Fields 2 and 6, to which -1 and 2 are added: 1 and 8, of equal attention 4.5."""
    experts = experts_without_fields(1, fields=2, attention_dim=1, hidden=[], output_dim=1)
    put(experts.fields, [-1, 2])
    put(experts.key.weight, [0])
    for parameter, value in ((experts.value.weight, 1), (experts.value.bias, 0)):
        put(parameter, [value])
    put(experts.upper[0].weight, [1])
    put(experts.upper[0].bias, [0])
    torch.testing.assert_close(experts(torch.tensor([[[2.0], [6.0]]]), [0]), torch.tensor([[[4.5]]]))


def test_two_experts_one_field_by_hand() -> None:
    """MVKE eq. 4 to 7 and 2, one field of value 2: the attention over a single field is 1.

    expert 1: V = leaky(1 * 2) = 2, upper layer [3, 0] * 2 + [0, 4] = (6, 4)
    expert 2: V = leaky(-1 * 2 + 1) = -0.01, upper layer [100, 0] * -0.01 + [1, -3] = (0, -3)
    gate: tag (1, 0) has direction (sqrt(2), 0), so Q = leaky(-100 sqrt(2) / sqrt(2)) = -1; K = leaky(-100 ln 3) = -ln 3
      and 0, so the softmax is 3/4 and 1/4; E_u = 3/4 (6, 4) + 1/4 (0, -3) = (4.5, 2.25)
    tag (1, 0): cos = 4.5 / sqrt(4.5^2 + 2.25^2) = 2 / sqrt(5)
    """
    experts = experts_without_fields(2, attention_dim=1, hidden=[], output_dim=2)
    put(experts.kernels, [1, 0])
    put(experts.value.weight, [1, -1])
    put(experts.value.bias, [0, 1])
    put(experts.upper[0].weight, [[3, 0], [100, 0]])
    put(experts.upper[0].bias, [[0, 4], [1, -3]])
    gate = VirtualKernelGate(tag_dim=2, attention_dim=1, seed=0, name="gate")
    put(gate.query.weights["layer0"], [-100 * 0.5**0.5, 7])
    put(gate.query.biases["layer0"], [0])
    put(gate.key.weights["layer0"], [-100 * torch.log(torch.tensor(3.0))])
    put(gate.key.biases["layer0"], [0])
    tag = torch.tensor([[1.0, 0.0]])

    vectors = experts(torch.tensor([[[2.0]]]), [0, 1])
    weights = gate(tag, experts.kernels)

    torch.testing.assert_close(vectors, torch.tensor([[[6.0, 4.0], [0.0, -3.0]]]))
    torch.testing.assert_close(weights, torch.tensor([[0.75, 0.25]]))
    torch.testing.assert_close(gate(100 * tag, experts.kernels), weights)  # the length of a tag vector says nothing
    user = (weights.unsqueeze(1) @ vectors).squeeze(1)
    torch.testing.assert_close(CosineScore(learned=False)(user, tag), torch.tensor([2 / 5**0.5]))


def test_attention_over_two_fields_by_hand() -> None:
    """MVKE eq. 5 with d_K = 4: Q = leaky(-100, 0, 0, 0) = (-1, 0, 0, 0), K = leaky(-200 ln 2 * field, 0, 0, 0), that is
    (-2 ln 2 * field, 0, 0, 0), so QK / sqrt(4) = ln 2 and 2 ln 2: queries and keys below zero still tell fields apart.

    The softmax is 1/3 and 2/3; V = 3 * field = 3 and 6; C = 5. The other expert, left as drawn, is not asked.
    """
    experts = experts_without_fields(2, fields=2, attention_dim=4, hidden=[], output_dim=1)
    first = torch.tensor([1.0, 0, 0, 0])
    for layer, weight in (
        (experts.query, -100 * torch.eye(4)),
        (experts.key, -200 * torch.log(torch.tensor(2.0)) * first),
        (experts.value, 3 * first),
        (experts.upper[0], first),
    ):
        with torch.no_grad():
            layer.weight[1] = weight.reshape(layer.weight[1].shape)
            layer.bias[1] = 0
            experts.kernels[1] = first

    vectors = experts(torch.tensor([[[1.0], [2.0]]]), [1])

    torch.testing.assert_close(vectors, torch.tensor([[[5.0]]]))


def test_layers_of_an_expert_are_a_relu_network() -> None:
    """One field, C = 1: hidden (1, -1) -> relu (1, 0) -> 10 * 1 + 100 * 0 = 10."""
    experts = experts_without_fields(1, attention_dim=1, hidden=[2], output_dim=1)
    put(experts.value.weight, 1)
    for layer, weight in ((experts.upper[0], [1, -1]), (experts.upper[1], [10, 100])):
        put(layer.weight, weight)
        put(layer.bias, [0] * layer.bias.numel())
    put(experts.value.bias, 0)
    torch.testing.assert_close(experts(torch.tensor([[[1.0]]]), [0]), torch.tensor([[[10.0]]]))


def test_the_residual_by_hand() -> None:
    """Attention over one field: V = (0, 2); with the kernel (1, 3) added (1, 5), mean 3, deviation 2: (-1, 1)."""
    experts = experts_without_fields(1, attention_dim=2, hidden=[], output_dim=2, residual=True)
    put(experts.kernels, [1, 3])
    put(experts.value.weight, [0, 1])
    put(experts.value.bias, [0, 0])
    put(experts.upper[0].weight, [[1, 0], [0, 1]])
    put(experts.upper[0].bias, [0, 0])
    torch.testing.assert_close(experts(torch.tensor([[[2.0]]]), [0]), torch.tensor([[[-1.0, 1.0]]]), atol=1e-4, rtol=0)


def test_pairs_of_weighted_fields_by_hand() -> None:
    """Two fields 2 and 6 of equal attention: weighted 1 and 3, so the sum is 4 and the pair 1 * 3 = 3; 10 * 4 + 3."""
    experts = experts_without_fields(1, attention_dim=1, hidden=[], output_dim=1, fields=2, pairs=True)
    put(experts.key.weight, [0])
    put(experts.value.weight, [1])
    put(experts.value.bias, [0])
    put(experts.upper[0].weight, [10, 1])
    put(experts.upper[0].bias, [0])
    torch.testing.assert_close(experts(torch.tensor([[[2.0], [6.0]]]), [0]), torch.tensor([[[43.0]]]))


def test_the_gate_without_projections_by_hand() -> None:
    """Tag (ln 3, 0) and kernels (1, 5) and (0, 7): products ln 3 and 0, softmax 3/4 and 1/4."""
    kernels = torch.tensor([[1.0, 5.0], [0.0, 7.0]])
    torch.testing.assert_close(ProductGate()(torch.tensor([[math.log(3), 0.0]]), kernels), torch.tensor([[0.75, 0.25]]))


def test_a_task_uses_its_own_experts_and_no_other() -> None:
    """Interest is served by VKE 1 to 3 and intention by 2 to 5 (MVKE section 4.2)."""
    batch = rows([[2, 3, 0], [4, 0, 0]])
    for task, used in (("interest", {0, 1, 2}), ("intention", {1, 2, 3, 4})):
        model = tagger()
        model.logits(batch, [task])[task].sum().backward()
        experts = model.towers_of(task).user_tower.experts
        for parameter in (experts.kernels, *experts.upper.parameters(), experts.value.weight):
            assert parameter.grad is not None
            learning = parameter.grad.flatten(1).abs().sum(1).nonzero().flatten().tolist()
            assert set(learning) == used
        other = ({"interest", "intention"} - {task}).pop()
        assert all(p.grad is None for p in model.towers_of("interest").user_tower.gates[other].parameters())


def test_gate_weights_sum_to_one_over_the_experts_of_the_task_and_are_zero_elsewhere() -> None:
    model = tagger()
    put(
        model.towers_of("interest").tag_embedding.table,
        torch.randn(model.towers_of("interest").tag_embedding.table.shape, generator=generator(0, "tags")),
    )
    weights = model.gate_weights([2, 3, 7])
    assert list(weights) == ["interest", "intention"]
    for task, used in (("interest", [0, 1, 2]), ("intention", [1, 2, 3, 4])):
        assert weights[task].shape == (3, 5)
        assert np.flatnonzero(weights[task].sum(0)).tolist() == used
        np.testing.assert_allclose(weights[task].sum(1), 1, rtol=1e-6)
        assert weights[task].std(0).max() > 0.01  # the gate tells tags apart
        vectors = model.tag_vectors(torch.tensor([[2, 0, 0], [3, 0, 0], [7, 0, 0]]), task)
        np.testing.assert_allclose(weights[task][:, used], model.gate(vectors, task).detach().numpy())


def test_a_row_without_tags_has_logit_zero_and_a_finite_gradient() -> None:
    model = tagger(scale="learned")
    logits = model.logits(rows([[0, 0, 0], [2, 0, 0]]), ["interest"])["interest"]
    logits.sum().backward()
    assert logits[0] == 0
    assert logits[1] != 0
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in model.parameters())


def test_several_tags_are_the_mean_of_single_ones() -> None:
    model = tagger()
    several = model.tag_vectors(torch.tensor([[2, 5, 0]]), "interest")
    single = model.tag_vectors(model.single_tags(torch.tensor([2, 5])), "interest")
    torch.testing.assert_close(several, single.mean(0, keepdim=True))


def test_the_learned_scale_multiplies_the_cosine() -> None:
    batch = rows([[2, 3, 0], [4, 0, 0]])
    one, learned = tagger(), tagger(scale="learned")
    torch.testing.assert_close(
        learned.logits(batch, ["interest"])["interest"], one.logits(batch, ["interest"])["interest"]
    )
    put(learned.towers_of("interest").score.log_scale, torch.log(torch.tensor(3.0)))
    torch.testing.assert_close(
        learned.logits(batch, ["interest"])["interest"], 3 * one.logits(batch, ["interest"])["interest"]
    )


@pytest.mark.parametrize("task", ["interest", "intention"])
def test_equal_seeds_give_equal_bits(task: str) -> None:
    batch = rows([[2, 3, 0], [4, 0, 0]])
    logits: list[Tensor] = []
    for draws in (1, 2):
        torch.rand(draws)  # the global generator must not matter
        logits.append(tagger().logits(batch, [task])[task])
    assert torch.equal(*logits)
