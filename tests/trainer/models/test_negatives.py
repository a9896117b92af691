"""Randomly sampled tags as negatives for the users of a batch (MVKE section 5.1, step 2)."""

import pytest
import torch
from torch.nn import functional as F

from conf.load import load_model, load_settings
from etl.contract import columns_of
from tests.lakes.samples import publish_days, sample_rows, write_samples
from tests.lakes.settings import START
from tests.trainer.test_train_day import bits
from trainer.daily.open import open_run
from trainer.daily.train import train
from trainer.data.batch import Batch
from trainer.models.build import build
from trainer.models.tagger import Tagger
from trainer.objectives.build import objective_of
from trainer.pruning.rounds import Pruning

SETTINGS = load_settings("conf/demo.toml")
HEADS = ("interest", "intention")


def tagger(negatives: float, tags: int = 9, name: str = "mvke") -> Tagger:
    """With random tables; tags: the number of tag ids, including the two reserved ones."""
    sizes = {feature.name: 9 + len(feature.boundaries) for feature in SETTINGS.features} | {"tag": tags}
    built = build(load_model(name).model_copy(update={"negatives": negatives}), SETTINGS, sizes)
    with torch.no_grad():
        for table in (p for n, p in built.named_parameters() if n.endswith(".table")):
            table.normal_(generator=torch.Generator().manual_seed(1))
    return built


def batch(rows: int = 5) -> Batch:
    random = torch.Generator().manual_seed(2)
    ids = torch.randint(1, 9, (rows, len(columns_of(SETTINGS.features))), generator=random)
    return Batch(ids, {}, {}, torch.zeros(rows, 0))


def auxiliary_loss(model: Tagger, rows: Batch, heads: tuple[str, ...] = ("interest",), seed: int = 0) -> torch.Tensor:
    return model.auxiliary_loss(rows, heads, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", ["mvke", "two_tower", "two_tower_hard"])
@pytest.mark.parametrize("heads", [("interest",), HEADS])
def test_it_is_the_loss_of_rows_with_a_single_tag_and_label_0(name, heads):
    """7 tags are known, so all are sampled. The reference takes the logits of such rows, tag by tag."""
    model, rows = tagger(2.5, name=name), batch()
    losses = []
    for head in heads:
        for tag in range(2, 9):
            ids = rows.ids.clone()
            ids[:, model.tag_columns] = torch.tensor([tag] + [0] * (len(model.tag_columns) - 1))
            logits = model.logits(Batch(ids, {}, {}, rows.values), [head])[head]
            losses.append(F.binary_cross_entropy_with_logits(logits, torch.zeros(len(rows))))
    wanted = 2.5 * torch.stack(losses).mean() * len(heads)
    torch.testing.assert_close(auxiliary_loss(model, rows, heads), wanted)


def test_of_many_tags_a_batch_samples_64_and_each_as_often_as_any_other(monkeypatch):
    """200 known tags, 64 a batch: in 500 batches 160 times each, with a standard deviation of 10."""
    model, sampled = tagger(1.0, tags=202), []
    monkeypatch.setattr(model, "all_pairs", lambda users, tags, head: sampled.append(tags) or torch.zeros(1, 1))
    random = torch.Generator().manual_seed(0)
    for _ in range(500):
        model.auxiliary_loss(batch(), ("interest",), random)
    assert all(len(set(tags.tolist())) == 64 for tags in sampled)
    counts = torch.bincount(torch.cat(sampled), minlength=202)
    assert counts[:2].sum() == 0
    assert counts[2:].tolist() == pytest.approx([160] * 200, abs=45)


def test_the_sample_depends_on_the_seed_alone():
    model = tagger(1.0, tags=202)
    assert auxiliary_loss(model, batch()) == auxiliary_loss(model, batch())
    assert auxiliary_loss(model, batch()) != auxiliary_loss(model, batch(), seed=1)


def test_without_negatives_or_known_tags_there_is_no_auxiliary_loss():
    assert auxiliary_loss(tagger(0.0), batch()) == 0
    assert auxiliary_loss(tagger(3.0, tags=2), batch()) == 0


def test_negatives_lower_the_scores_of_tags_that_nobody_was_shown_and_repeat_to_the_bit(settings):
    """A second run of the day gives the same bits."""
    frame = sample_rows(settings, START, 1200)
    tags = [column for column in frame if column.startswith("f_tag")]
    shown = frame[(frame[tags] < 4).all(axis=1)]
    write_samples(settings, START, shown)
    of_users = torch.from_numpy(shown[columns_of(f for f in settings.features if f.table == "users")].to_numpy())
    mean = {}
    for name in ("mvke", "mvke_negatives"):
        run = open_run(settings, "tagger", name)
        train(run, START)
        before, model = bits(run.paths.model("tagger", name, START)), run.load_model(START)
        last = model.towers_of("interest").tag_embedding.sizes["tag"]
        assert last > 5
        pairs = model.all_pairs(of_users.long(), torch.arange(2, last), "interest").mean(0).tolist()
        mean[name] = (sum(pairs[:2]) / 2, sum(pairs[2:]) / (last - 4))
        train(run, START)
        assert bits(run.paths.model("tagger", name, START)) == before
    (seen, unseen), (seen_negatives, unseen_negatives) = mean["mvke"], mean["mvke_negatives"]
    assert seen_negatives - unseen_negatives > seen - unseen + 0.2


def test_masks_are_found_with_the_negatives(settings):
    publish_days(settings, 3, rows=300)
    sparse = load_model("two_tower_sparse")
    interest = objective_of(sparse, settings).heads[0]
    masks = [
        list(Pruning(settings, model).rounds(interest))[-1].mask.layers["layer0"]
        for model in (sparse, sparse.model_copy(update={"negatives": 3.0}))
    ]
    assert not torch.equal(*masks)
