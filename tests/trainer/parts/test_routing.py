"""Dynamic routing by hand, and what a cluster's centre, share and revival are."""

import math

import pytest
import torch

from conf.settings.run_file import Feature
from trainer.parts.routing import ByCluster, ByDomain, domain_ids, dynamic_routing, moved, places


def test_algorithm_1_by_hand_for_two_batches():
    """Two rows, (ln 3, 0) and (0, ln 3), and centres (1, 0) and (0, 1), which stay mirror images of each other.

    With a centre (x, y) the first row's coefficient is 3^(x - y) times the second row's, so that the next centre has
    the direction (3^(x - y), 1).
    """
    rows = torch.tensor([[math.log(3), 0.0], [0.0, math.log(3)]])
    start = torch.eye(2)

    once = dynamic_routing(rows, start, iterations=1)
    assert once[0].flatten().tolist() == pytest.approx([3 / 4, 1 / 4, 1 / 4, 3 / 4])
    # sum of r e: ln 3 (3/4, 1/4), of length 1: (3, 1) / sqrt(10)
    assert once[1][0].tolist() == pytest.approx([3 / math.sqrt(10), 1 / math.sqrt(10)])

    # second iteration: 3^(2 / sqrt(10)) = 2.00336, third: 3^((2.00336 - 1) / sqrt(2.00336^2 + 1)) = 1.63608
    coefficients, of_batch = dynamic_routing(rows, start)
    assert coefficients[0].tolist() == pytest.approx([1.63608 / 2.63608, 1 / 2.63608], abs=1e-5)
    length = math.sqrt(1.63608**2 + 1)
    assert of_batch[0].tolist() == pytest.approx([1.63608 / length, 1 / length], abs=1e-5)
    # 0.9 (1, 0) + 0.1 (0.85324, 0.52152) = (0.98532, 0.05215), of length 0.98670
    first = moved(start, of_batch)
    assert first[0].tolist() == pytest.approx([0.99860, 0.05285], abs=1e-5)

    # the second batch, the same rows: ratios 3^0.94575 = 2.82642, then 1.95280, then 1.61141
    coefficients, of_batch = dynamic_routing(rows, first)
    assert coefficients[0, 0].item() == pytest.approx(1.61141 / 2.61141, abs=1e-5)
    assert of_batch[0].tolist() == pytest.approx([0.84968, 0.52729], abs=1e-5)
    # 0.9 (0.99860, 0.05285) + 0.1 (0.84968, 0.52729) = (0.98371, 0.10030), of length 0.98881
    second = moved(first, of_batch)
    assert second.flatten().tolist() == pytest.approx([0.99484, 0.10143, 0.10143, 0.99484], abs=1e-5)


def blobs(rows: int = 64, seed: int = 0) -> torch.Tensor:
    """Rows [rows, 2, 2] around four far corners, in turn; a field is two numbers wide, and only the first one tells."""
    corners = torch.tensor([[5.0, 5.0], [5.0, 9.0], [9.0, 5.0], [9.0, 9.0]])
    random = torch.Generator().manual_seed(seed)
    where = corners[torch.arange(rows) % 4] + 0.3 * torch.randn(rows, 2, generator=random)
    return torch.stack([where, torch.randn(rows, 2, generator=random)], 1)


def clusters(count: int = 4, min_share: float = 0.01, fields: tuple[int, ...] = (0,)) -> ByCluster:
    return ByCluster(fields, 2, count, min_share, seed=0)


def learnt(routing: ByCluster, batches: int = 200) -> ByCluster:
    for n in range(batches):
        routing.observe(blobs(seed=n), 1.0)
    return routing


def test_separable_rows_find_their_clusters():
    routing = learnt(clusters())
    found = routing(blobs(), torch.empty(0)).tolist()
    assert len(set(found[:4])) == 4
    assert found == found[:4] * 16  # rows come from the corners in turn
    assert routing.report().shares == pytest.approx([0.25] * 4, abs=0.05)


def test_routing_changes_no_centre_and_has_no_gradient():
    routing = learnt(clusters(), 5)
    before = {name: value.clone() for name, value in routing.state_dict().items()}
    vectors = blobs().requires_grad_()
    assert not routing(vectors, torch.empty(0)).requires_grad
    assert all(torch.equal(value, before[name]) for name, value in routing.state_dict().items())
    routing.observe(vectors, 1.0)
    assert not routing.centres.requires_grad


def test_one_batch_moves_centres_once_by_the_rate():
    """The centres after a batch are Algorithm 1 on the centred vectors; a half batch counts as half a step."""
    for whole, rate in ((1.0, 0.9), (0.5, 0.9**0.5)):
        routing = clusters()
        start, flat = routing.centres.clone(), blobs()[:, 0]
        centred = flat - flat.mean(0)
        directions = 3 * centred / centred.norm(dim=1, keepdim=True)
        expected = moved(start, dynamic_routing(directions, start)[1], rate)
        routing.observe(blobs(), whole)
        assert torch.allclose(routing.centres, expected, atol=1e-6)
        assert torch.allclose(routing.centres.norm(dim=1), torch.ones(4))


def test_only_the_chosen_fields_are_routed():
    other = blobs()
    other[:, 1] = 100 * torch.randn(64, 2, generator=torch.Generator().manual_seed(9))
    by_first, by_both = learnt(clusters()), learnt(clusters(fields=(0, 1)))
    assert torch.equal(by_first(other, torch.empty(0)), by_first(blobs(), torch.empty(0)))
    assert not torch.equal(by_both(other, torch.empty(0)), by_both(blobs(), torch.empty(0)))


def test_the_state_survives_saving_to_the_bit():
    routing = learnt(clusters(), 7)
    loaded = clusters()
    loaded.load_state_dict(routing.state_dict())
    assert torch.equal(loaded(blobs(seed=3), torch.empty(0)), routing(blobs(seed=3), torch.empty(0)))
    assert set(routing.state_dict()) == {"centres", "mean", "shares"}
    loaded.observe(blobs(seed=4), 1.0)
    routing.observe(blobs(seed=4), 1.0)
    assert all(torch.equal(value, loaded.state_dict()[name]) for name, value in routing.state_dict().items())


def test_a_starved_cluster_gets_the_most_foreign_row_as_its_centre_and_is_reported():
    routing = clusters(2, min_share=0.2)
    routing.mean = torch.zeros(2)
    routing.centres = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    routing.shares = torch.tensor([0.9, 0.1])
    # all rows go to cluster 0 (the first on a tie); the last points away from both centres
    vectors = torch.tensor([[[1.0, 0.1]], [[1.0, -0.1]], [[1.0, 0.0]], [[-3.0, 0.0]]])
    routing.observe(vectors, 0.0)  # a batch without weight moves nothing by itself
    assert routing.revived.tolist() == [0, 1]
    assert routing.centres[1].tolist() == pytest.approx([-1.0, 0.0])
    assert routing.shares.tolist() == pytest.approx([0.9, 0.5])
    report = routing.report()
    assert report.revived == [0, 1] and report.shares == [1.0, 0.0]
    assert report.cosines == {(0, 1): pytest.approx(-1.0)}
    routing.observe(vectors, 0.0)
    assert routing.revived.tolist() == [0, 1]  # once


def test_without_a_bound_nothing_is_revived():
    routing = clusters(2, min_share=0.0)
    routing.shares = torch.tensor([1.0, 0.0])
    routing.observe(blobs(), 1.0)
    assert routing.revived.tolist() == [0, 0]


def test_collapsed_centres_come_apart_again():
    """All centres in one place, as after many batches of short vectors, are no state that it stays in."""
    routing = clusters()
    routing.centres = routing.centres[:1].repeat(4, 1)
    learnt(routing, 600)
    assert max(routing.report().cosines.values()) < 0.9
    assert min(routing.shares) > 0.1


def test_domains_are_ids_and_unknown_ones_are_unseen():
    routing = ByDomain(column=1, size=4)
    ids = torch.tensor([[9, 0], [9, 1], [9, 3], [9, 4]])
    assert routing(torch.empty(0), ids).tolist() == [0, 1, 3, 1]
    assert list(domain_ids(4)) == [2, 3]


def test_features_are_chosen_by_their_name_or_their_table():
    features = [Feature(name="user_id", table="users"), Feature(name="age", table="users"),
                Feature(name="tab", table="impressions")]  # fmt: skip
    assert places(features, [], None) == [0, 1, 2]
    assert places(features, ["users"], None) == [0, 1]
    assert places(features, ["tab", "age"], None) == [1, 2]
    assert places(features, ["domain"], features[2]) == [2]
