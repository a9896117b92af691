"""Tags drawn for a row, as rows that nothing came of."""

import pytest
import torch

from conf.load import load_model, load_settings
from etl.contract import columns_of
from tests.trainer.tables import publish_days
from tests.trainer.test_train_day import bits
from trainer.batch import Batch
from trainer.daily_run import open_run
from trainer.drawn import ROWS, with_drawn
from trainer.mask_rounds import Pruning
from trainer.model import build
from trainer.objective import tagging_heads
from trainer.train_day import train

TAGS = [1, 2]  # columns of ids; a user in column 0


def rows(count: int) -> Batch:
    """Row n is of user n, with tags 2 and 3; every other one clicked, and those converted."""
    clicked = (torch.arange(count) % 2).float()
    labels = {"click": clicked, "click_defined": torch.ones(count), "converted": clicked, "conversion_defined": clicked}
    ids = torch.stack([torch.arange(count), torch.full((count,), 2), torch.full((count,), 3)], dim=1)
    return Batch(ids, labels, {}, ids[:, :1].float())


def mixed(batch: Batch, per_row: float, tags: int = 6, seed: int = 0) -> list[Batch]:
    return list(with_drawn([batch], TAGS, tags, per_row, torch.Generator().manual_seed(seed)))


def drawn_of(batch: Batch) -> torch.Tensor:
    return batch.ids[:, 2] == 0  # a single tag and padding


def test_every_row_stays_and_brings_its_copies():
    (found,) = mixed(rows(100), 2)
    drawn = drawn_of(found)
    assert sorted(found.ids[~drawn, 0].tolist()) == list(range(100))
    assert sorted(found.ids[drawn, 0].tolist()) == sorted([*range(100)] * 2)
    kept = found.rows(~drawn)
    assert torch.equal(kept.labels["click"], (kept.ids[:, 0] % 2).float())
    assert torch.equal(found.values, found.ids[:, :1].float())


def test_nothing_came_of_a_copy_and_it_counts_for_the_tasks_of_its_row():
    (found,) = mixed(rows(100), 2)
    copies = found.rows(drawn_of(found))
    assert copies.labels["click"].sum() == copies.labels["converted"].sum() == 0
    assert copies.labels["click_defined"].all()
    assert torch.equal(copies.labels["conversion_defined"], (copies.ids[:, 0] % 2).float())


def test_each_known_tag_is_drawn_as_often():
    """2 to 5 of 6 ids: 8,000 draws, 2,000 each with a standard deviation of 39."""
    (found,) = mixed(rows(2000), 4)
    counts = torch.bincount(found.ids[drawn_of(found), 1], minlength=6)
    assert counts[:2].sum() == 0
    assert counts[2:].tolist() == pytest.approx([2000] * 4, abs=160)


def test_a_part_of_a_copy_is_a_chance():
    (found,) = mixed(rows(4000), 1.25)
    copies = torch.bincount(found.ids[drawn_of(found), 0], minlength=4000)
    assert set(copies.tolist()) == {1, 2}
    assert copies.float().mean().item() == pytest.approx(1.25, abs=0.03)


def test_copies_are_mixed_with_the_rows_block_by_block():
    """So that a batch holds both, and memory does not grow with a row group."""
    found = mixed(rows(ROWS + 10), 1)
    assert [len(block) for block in found] == [2 * ROWS, 20]
    first = drawn_of(found[0])[:ROWS].float().mean().item()
    assert first == pytest.approx(0.5, abs=0.05)


def test_the_same_seed_draws_the_same():
    assert torch.equal(mixed(rows(50), 1)[0].ids, mixed(rows(50), 1)[0].ids)
    assert not torch.equal(mixed(rows(50), 1)[0].ids, mixed(rows(50), 1, seed=1)[0].ids)


def test_nothing_is_drawn_while_no_tag_is_known():
    (found,) = mixed(rows(10), 3, tags=2)
    assert len(found) == 10


def test_a_tagger_draws_from_the_tags_of_its_vocabulary():
    settings = load_settings("conf/demo.toml")
    sizes = {feature.name: 9 + len(feature.boundaries) for feature in settings.features}
    model = load_model("mvke_drawn").model_copy(update={"drawn": 50.0})
    tagger = build(model, settings, sizes)
    batch = Batch(torch.full((4, len(columns_of(settings.features))), 8), {}, {}, torch.zeros(4, 0))
    (found,) = tagger.examples([batch], torch.Generator().manual_seed(0))
    tags = list(tagging_heads(model, settings)[0].needs_value)
    assert set(found.ids[:, tags[0]].tolist()) == {2, 3, 4, 5, 6, 7, 8}
    others = [column for column in range(found.ids.shape[1]) if column not in tags]
    assert (found.ids[:, others] == 8).all()


def test_without_it_a_tagger_learns_from_the_rows_alone():
    settings = load_settings("conf/demo.toml")
    sizes = {feature.name: 9 + len(feature.boundaries) for feature in settings.features}
    groups = [rows(3)]
    assert build(load_model("mvke"), settings, sizes).examples(groups, torch.Generator()) is groups


def test_a_model_is_known_by_it_only_when_it_has_it():
    """So that models that were trained before there was this choice are still those of their files."""
    assert "drawn" not in load_model("mvke").model_dump()
    assert load_model("mvke_drawn").model_dump()["drawn"] == 3


def test_a_day_is_learnt_with_what_is_drawn_and_the_same_every_time(settings):
    (day,) = publish_days(settings, 1)
    run = open_run(settings, "tagger", "mvke_drawn")
    train(run, day)
    before, found = bits(run.paths.model("tagger", "mvke_drawn", day)), run.load(day)
    plain = open_run(settings, "tagger", "mvke")
    train(plain, day)
    assert found.manifest["batches"]["interest"] == pytest.approx(
        4 * plain.load(day).manifest["batches"]["interest"], abs=3
    )
    train(run, day)
    assert bits(run.paths.model("tagger", "mvke_drawn", day)) == before


def test_masks_are_found_with_what_is_drawn(settings):
    publish_days(settings, 3, rows=300)
    sparse = load_model("two_tower_sparse")
    interest = tagging_heads(sparse, settings)[0]
    masks = [
        list(Pruning(settings, model).rounds(interest))[-1].mask.layers["layer0"]
        for model in (sparse, sparse.model_copy(update={"drawn": 3.0}))
    ]
    assert not torch.equal(*masks)
