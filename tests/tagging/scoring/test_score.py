"""Two matrix products against MVKE's equations, pair by pair."""

from typing import Any

import pytest
import torch
from torch import Tensor

from conf.load import load_model, load_settings
from conf.settings.model_file import needs_masks
from tagging.scoring import score
from tagging.scoring.export import TaskMatrices, export, task_matrices
from tests.lakes.settings import DEMO
from tests.lakes.tagger import LAYOUT, SIZES, TAGS, literal, trained
from trainer.models.build import mask_shapes
from trainer.models.tagger import Tagger
from trainer.parts.mask import Mask

TASKS = ("interest", "intention")


def some_users() -> Tensor:
    """Feature ids of 30 users, nothing known of one of them."""
    random = torch.Generator().manual_seed(4)
    limits = torch.tensor([SIZES[feature.name] for feature in LAYOUT.of_table("users")])
    ids = (torch.rand(30, len(limits), generator=random) * (limits - 1)).long() + 1
    ids[7] = 1
    return ids


def by_products(tagger: Tagger, users: Tensor, matrices: TaskMatrices, task: str) -> Tensor:
    with torch.inference_mode():
        vectors = tagger.user_vectors(users, task)
        return torch.sigmoid(matrices.scale * score.cosines(vectors, matrices))


@pytest.mark.parametrize("scale", ["one", "learned"])
@pytest.mark.parametrize("task", TASKS)
def test_two_products_equal_mvke_pair_by_pair(task: str, scale: str) -> None:
    tagger, users = trained(scale), some_users()
    wanted = literal(tagger, users, task)
    assert wanted.max() - wanted.min() > 0.1  # the scores differ enough for the comparison to mean something
    torch.testing.assert_close(
        by_products(tagger, users, export(tagger, TAGS).tasks[task], task), wanted, rtol=0, atol=1e-5
    )


def masked(name: str) -> dict[str, Mask] | None:
    model, settings = load_model(name), load_settings(DEMO)
    if not needs_masks(model):
        return None
    random = torch.Generator().manual_seed(0)
    return {
        task: Mask({n: torch.rand(shape, generator=random) < 0.6 for n, shape in mask_shapes(model, settings).items()})
        for task in TASKS
    }


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        *((name, {}) for name in ("two_tower", "two_tower_hard", "two_tower_moe", "two_tower_mmoe", "two_tower_cgc")),
        *((name, {}) for name in ("two_tower_sparse", "mvke_st", "mvke_sparse")),
        ("two_tower", {"interaction": "fm", "scale": "learned"}),
        ("mvke", {"interaction": "fm", "sharing": {"attention": "residual"}}),
        ("mvke", {"sharing": {"gate": "product", "attention_dim": 32}}),
    ],
    ids=str,
)
def test_every_user_tower_scores_as_its_model_does_pair_by_pair(task: str, name: str, changes: dict[str, Any]) -> None:
    tagger, users = trained(name=name, masks=masked(name), **changes), some_users()
    wanted = literal(tagger, users, task)
    assert wanted.max() - wanted.min() > 0.1
    matrices = export(tagger, TAGS).tasks[task]
    torch.testing.assert_close(by_products(tagger, users, matrices, task), wanted, rtol=0, atol=1e-5)
    assert (len(matrices.squares) == 1) == name.startswith("two_tower")


def test_one_expert_for_each_task() -> None:
    one_each = {"virtual_kernels": 2, "assignment": {"interest": [2], "intention": [1]}}
    tagger, users = trained(sharing=one_each), some_users()
    exported = export(tagger, TAGS)
    for task in TASKS:
        torch.testing.assert_close(
            by_products(tagger, users, exported.tasks[task], task), literal(tagger, users, task), rtol=0, atol=1e-5
        )


@pytest.mark.parametrize("wrong", ["experts permuted", "tags permuted", "uniform"])
@pytest.mark.parametrize("task", TASKS)
def test_a_wrong_gate_is_noticed(task: str, wrong: str) -> None:
    """The comparison above would fail by a hundred times its tolerance."""
    tagger, users = trained(), some_users()
    right = export(tagger, TAGS).tasks[task]
    with torch.inference_mode():
        vectors = tagger.tag_vectors(tagger.single_tags(torch.tensor(TAGS)), task)
        right_gates = tagger.gate(vectors, task)
    gates = {
        "experts permuted": right_gates.roll(1, dims=1),
        "tags permuted": right_gates.roll(1, dims=0),
        "uniform": torch.full_like(right_gates, 1 / right_gates.shape[1]),
    }[wrong]
    matrices = task_matrices(gates, vectors / vectors.norm(dim=1, keepdim=True), right.scale)
    difference = (by_products(tagger, users, matrices, task) - literal(tagger, users, task)).abs()
    assert difference.max() > 1e-3


def test_products_by_hand() -> None:
    """Gate (3/4, 1/4), expert vectors (6, 4) and (0, -3): E_u = (4.5, 2.25); tag (1, 0): cos = 2 / sqrt(5).

    Its transpose as a second tag, gate (0, 1) and tag (0, 1): E_u = (0, -3), cos = -1.
    """
    matrices = task_matrices(torch.tensor([[0.75, 0.25], [0, 1]]), torch.eye(2), scale=1.0)
    assert matrices.squares.T.tolist() == [[0.5625, 0.375, 0.0625], [0, 0, 1]]
    got = score.cosines(torch.tensor([[[6.0, 4.0], [0.0, -3.0]]]), matrices)
    torch.testing.assert_close(got, torch.tensor([[2 / 5**0.5, -1.0]]))


def test_expert_vectors_that_nearly_cancel() -> None:
    """V_2 = -V_1 + small: the squared norm is a difference of numbers 10^8 times as large."""
    random = torch.Generator().manual_seed(0)
    vectors = torch.randn(50, 2, 8, generator=random)
    vectors[:, 1] = -vectors[:, 0] + 1e-4 * torch.randn(50, 8, generator=random)
    gates = torch.tensor([[0.5, 0.5]])
    tags = torch.nn.functional.normalize(torch.randn(1, 8, generator=random), dim=1)
    users = (gates.double() @ vectors.double()).squeeze(1)
    wanted = torch.nn.functional.cosine_similarity(users, tags.double()).float().unsqueeze(1)
    got = score.cosines(vectors, task_matrices(gates, tags, 1.0))
    # what remains is the rounding of the dot product: 10^-7 of a number 10^4 times as large as the result
    torch.testing.assert_close(got, wanted, rtol=0, atol=3e-3)


def test_zero_vectors_score_one_half() -> None:
    """A zero user vector, and the zero vector of a tag: cosine 0 on both sides, as in training."""
    tagger = trained()
    with torch.no_grad():
        tagger.towers_of("interest").tag_embedding.table[5] = 0
    matrices = export(tagger, TAGS).tasks["interest"]
    scores = by_products(tagger, some_users(), matrices, "interest")
    assert torch.equal(scores[:, TAGS.index(5)], torch.full((30,), 0.5))
    assert bool(scores.isfinite().all())
    assert torch.equal(score.cosines(torch.zeros(1, 3, 32), matrices), torch.zeros(1, len(TAGS)))


def test_padding_and_unseen_are_no_tags() -> None:
    with pytest.raises(ValueError, match="no tags"):
        export(trained(), [1, 2])


def test_top_tags_are_the_best_of_all_pairs() -> None:
    tagger, users = trained(), some_users()
    wanted = literal(tagger, users, "intention")
    top = score.top_tags(export(tagger, TAGS), users, "intention", count=3, min_score=0.0)
    assert top.user.tolist() == [u for u in range(30) for _ in range(3)]
    assert top.rank.tolist() == [1, 2, 3] * 30
    expected = wanted.topk(3, dim=1)
    torch.testing.assert_close(top.score.reshape(30, 3), expected.values, rtol=0, atol=1e-5)
    assert torch.equal(top.tag.reshape(30, 3), expected.indices)


def test_tags_below_min_score_are_dropped() -> None:
    tagger, users = trained(), some_users()
    wanted = literal(tagger, users, "interest")
    top = score.top_tags(export(tagger, TAGS), users, "interest", count=20, min_score=0.5)
    kept = (wanted >= 0.5).sum(1)
    assert 0 < kept.min() < kept.max() < 20
    assert torch.equal(torch.bincount(top.user, minlength=30), kept)
    assert top.score.min() >= 0.5


def test_users_scored_in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded by the batch; its size changes nothing but the last bits."""
    exported, users = export(trained(), TAGS), some_users()
    whole = score.top_tags(exported, users, "interest", 3, 0.0)
    monkeypatch.setattr(score, "BATCH_CELLS", 7 * len(TAGS))
    parts = score.top_tags(exported, users, "interest", 3, 0.0)
    assert torch.equal(whole.user, parts.user)
    assert torch.equal(whole.tag, parts.tag)
    torch.testing.assert_close(whole.score, parts.score)


def test_pairs_above_a_score_are_the_same_in_small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    tagger, users = trained(), some_users()
    exported, wanted = export(tagger, TAGS), literal(tagger, users, "interest")
    monkeypatch.setattr(score, "BATCH_CELLS", 7 * len(TAGS))
    found = [scores.at_least(0.5) for scores in score.score_batches(exported, users, "interest")]
    assert len(found) > 1
    user, tag, value = (torch.cat(parts) for parts in zip(*found, strict=True))
    assert torch.equal(torch.stack([user, tag], dim=1), (wanted >= 0.5).nonzero())
    torch.testing.assert_close(value, wanted[user, tag], atol=1e-5, rtol=0)
