import pytest
import torch

from conf.settings.run_file import Feature
from trainer.parts.embedding import Embedding, copy_known_rows

USER = Feature(name="user", table="users")
TAG = Feature(name="tag", table="items", kind="multi", length=3)
SIZES = {"user": 4, "tag": 5}


def table(sizes=SIZES):
    return Embedding([USER, TAG], sizes, dim=2, seed=1, name="e")


def test_multi_valued_feature_is_the_mean_of_its_values():
    part = table()
    user, tag = part.table[:4], part.table[4:]
    out = part(torch.tensor([[2, 3, 4, 0]]))
    assert out.shape == (1, 2, 2)
    assert torch.equal(out[0, 0], user[2])
    assert torch.allclose(out[0, 1], (tag[3] + tag[4]) / 2)


def test_a_feature_without_values_is_the_zero_vector_and_trains_nothing():
    part = table()
    out = part(torch.tensor([[2, 0, 0, 0]]))
    assert torch.equal(out[0, 1], torch.zeros(2))
    out.sum().backward()
    assert (part.table.grad[4:] == 0).all()


def test_an_id_beyond_the_vocabulary_is_unseen():
    part = table()
    known, unknown = part(torch.tensor([[1, 1, 0, 0]])), part(torch.tensor([[4, 99, 0, 0]]))
    assert torch.equal(known, unknown)


def test_the_unseen_row_is_trained():
    part = table()
    part(torch.tensor([[99, 2, 0, 0]])).sum().backward()
    assert (part.table.grad[1] != 0).all()


def test_growth_keeps_every_row_with_its_feature():
    old, new = table(), table({"user": 6, "tag": 7})
    before = new.table.detach().clone()
    with torch.no_grad():
        copy_known_rows(new.table, new.segments, old.table, old.sizes)
    assert torch.equal(new.table[:4], old.table[:4]) and torch.equal(new.table[6:11], old.table[4:])
    assert torch.equal(new.table[4:6], before[4:6]) and torch.equal(new.table[11:], before[11:])


def test_a_shrinking_vocabulary_is_an_error():
    old, new = table(), table({"user": 3, "tag": 5})
    with pytest.raises(ValueError, match="user"):
        copy_known_rows(new.table.detach(), new.segments, old.table, old.sizes)
