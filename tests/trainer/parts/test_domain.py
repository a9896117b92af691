"""Parts of domains: heads, normalisation, the small network beside."""

import pytest
import torch

from trainer.parts.dense import Dense
from trainer.parts.domain import DomainHeads, PartitionedNorm, SeparateHeads, Star, domain_head
from trainer.parts.experts import Experts
from trainer.parts.groups import Groups
from trainer.parts.sharing import SharedBottom

HEADS = ("ctr", "cvr")
OF_DOMAINS = [domain_head(head, domain) for domain in (2, 3) for head in HEADS]
X = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))


def test_a_row_uses_the_head_of_its_domain_and_an_unknown_one_the_mean_of_all():
    inner = SharedBottom([4, 3, 1], 0, OF_DOMAINS, seed=0)
    found = DomainHeads(inner, [2, 3])(X, HEADS, Groups.of(torch.tensor([3, 2, 8])))
    each = inner(X, OF_DOMAINS)
    for head in HEADS:
        of_2, of_3 = each[f"{head}_2"], each[f"{head}_3"]
        expected = torch.cat([of_3[:1], of_2[1:2], (of_2[2:] + of_3[2:]) / 2])
        assert torch.allclose(found[head], expected, atol=1e-6)


def test_another_domains_experts_do_not_see_a_row():
    experts = Experts([4, 3, 1], expert_layers=1, heads=OF_DOMAINS, shared=1, own=1, gate_per_head=True, seed=0)
    DomainHeads(experts, [2, 3])(X, ["ctr"], Groups.of(torch.tensor([2, 2, 2])))["ctr"].sum().backward()
    moved = {name for name, parameter in experts.named_parameters() if parameter.grad is not None}
    assert {name.split(".")[1] for name in moved if name.startswith(("own", "gates", "towers"))} == {"ctr_2"}
    assert any(name.startswith("shared") for name in moved)


def test_separate_heads_share_nothing():
    network = SeparateHeads(HEADS, lambda head: SharedBottom([4, 3, 1], 0, [head], seed=len(head)))
    network(X, ["ctr"])["ctr"].sum().backward()
    assert all((parameter.grad is None) == ("of_head.cvr" in name) for name, parameter in network.named_parameters())


def norm() -> PartitionedNorm:
    found = PartitionedNorm(1, [2, 3])
    with torch.no_grad():
        found.scale.fill_(2.0)
        found.shift.fill_(1.0)
        found.of_domains["3"].scale.fill_(0.5)
        found.of_domains["3"].shift.fill_(-2.0)
    return found


@pytest.fixture
def few_are_enough(monkeypatch):
    monkeypatch.setattr(PartitionedNorm, "ENOUGH", 2)


def test_partitioned_normalisation_by_hand(few_are_enough):
    """Domain 2: 1 and 3 have mean 2, variance 1; domain 3: 10 and 30 have mean 20, variance 100."""
    found = norm()(torch.tensor([[1.0], [10.0], [3.0], [30.0]]), Groups.of(torch.tensor([2, 3, 2, 3])))
    # 2 z + 1 for z = -1, 1; (2 * 0.5) z + 1 - 2 for z = -1, 1
    assert found.flatten().tolist() == pytest.approx([-1.0, -2.0, 3.0, 0.0], abs=1e-4)


def test_it_serves_by_the_moments_of_what_it_saw(few_are_enough):
    layer = norm()
    for rows in ([[1.0], [3.0]], [[3.0], [5.0]]):  # 1, 3, 3, 5: mean 3, variance 2
        layer(torch.tensor(rows), Groups.of(torch.tensor([2, 2])))
    layer.eval()
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    found = layer(torch.tensor([[4.0], [4.0]]), Groups.of(torch.tensor([2, 9])))
    # the new domain 9 by the moments of all rows, which are the same here: 2 (4 - 3) / sqrt(2) + 1
    assert found.flatten().tolist() == pytest.approx([1 + 2**0.5] * 2, abs=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())


def test_a_domain_of_few_rows_is_normalised_by_all_rows():
    """1, 3 of domain 2 and 10, 30 of domain 3: mean 11, mean square 252.5, variance 131.5."""
    layer = norm()
    found = layer(torch.tensor([[1.0], [10.0], [3.0], [30.0]]), Groups.of(torch.tensor([2, 3, 2, 3])))
    deviation = 131.5**0.5
    assert found[0].item() == pytest.approx(2 * (1 - 11) / deviation + 1, abs=1e-4)
    assert found[3].item() == pytest.approx((30 - 11) / deviation - 1, abs=1e-4)


def test_a_batch_of_one_row_is_no_exception(few_are_enough):
    layer = norm()
    layer(torch.tensor([[1.0], [3.0]]), Groups.of(torch.tensor([2, 2])))
    # 1, 3, 5: mean 3, variance 8 / 3
    expected = 2 * (5 - 3) / (8 / 3) ** 0.5 + 1
    assert layer(torch.tensor([[5.0]]), Groups.of(torch.tensor([2]))).item() == pytest.approx(expected, abs=1e-4)


def test_the_auxiliary_networks_output_is_added():
    main = SharedBottom([4, 1], 0, HEADS, seed=0, groups=[2])
    beside = {head: Dense([4, 2, 1], 1, head, last_activation=False) for head in HEADS}
    groups = Groups.of(torch.tensor([2, 2, 5]))
    found = Star(main, None, beside)(X, ["ctr"], groups)["ctr"]
    assert torch.allclose(found, main(X, ["ctr"], groups)["ctr"] + beside["ctr"](X))
