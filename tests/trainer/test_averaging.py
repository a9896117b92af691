"""What a head adds to the shared embedding, and the mean of the network's weights by which a ranker predicts."""

import pytest
import torch
from torch import Tensor, nn

from conf.load import load_model, load_settings
from conf.models import Optimiser
from conf.settings import Feature
from tests.trainer.tables import START, sizes
from trainer.batch import Batch
from trainer.loop import train_pass
from trainer.mask_rounds import Pruning
from trainer.objective import CTR, apart
from trainer.optimiser import TaskOptimiser
from trainer.parts.cross import Cross
from trainer.parts.embedding import Embedding
from trainer.parts.sharing import SparseSharing
from trainer.ranker import Ranker, build
from trainer.reader import Waiting

FEATURES = [Feature(name=name, table="users", cross=True) for name in ("user", "age")]
SIZES = {"user": 4, "age": 3}
USER_3, AGE_2 = 3, 4 + 2


class Sum(nn.Module):
    """weight * the sum of a row, [B, 1], for every head."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor, heads: list[str]) -> dict[str, Tensor]:
        return {head: self.weight * x.sum(1, keepdim=True) for head in heads}


def ranker(averaging: float = 0.0) -> Ranker:
    """User 3 is (1, 2), age 2 is (3, -1); for CVR the user is (0.5, -1) further on."""
    shared = Embedding(FEATURES, SIZES, 2, seed=0, name="shared")
    offset = Embedding(FEATURES, SIZES, 2, seed=0, name="offset", std=0)
    with torch.no_grad():
        shared.table[USER_3], shared.table[AGE_2] = torch.tensor([1.0, 2.0]), torch.tensor([3.0, -1.0])
        offset.table[USER_3] = torch.tensor([0.5, -1.0])
    return Ranker(("ctr", "cvr"), {"shared": shared}, Cross(FEATURES, 2), {"cvr": offset}, {}, Sum(), averaging)


def batch() -> Batch:
    return Batch(torch.tensor([[3, 2]]), {}, {}, torch.zeros(1, 0))


def test_an_offset_is_added_before_the_cross_for_its_head_alone():
    logits = ranker().logits(batch(), ["ctr", "cvr"])
    # (1, 2), (3, -1) and their products (3, -2); with the offset (1.5, 1), (3, -1) and (4.5, -1)
    assert logits["ctr"].item() == 1 + 2 + 3 - 1 + 3 - 2
    assert logits["cvr"].item() == 1.5 + 1 + 3 - 1 + 4.5 - 1


def test_a_head_without_an_offset_leaves_the_others_alone_and_one_with_it_moves_both_tables():
    model = ranker()
    adam = TaskOptimiser(model, ["ctr", "cvr"], Optimiser(embedding_learning_rate=0.25))
    shared, offset = model.embeddings["shared"].table, model.offsets["cvr"].table
    for head, moved in (("ctr", (True, False)), ("cvr", (True, True))):
        before = shared[USER_3].clone(), offset[USER_3].clone()
        adam.zero_grad()
        model.logits(batch(), [head])[head].sum().backward()
        adam.step(head)
        assert (not torch.equal(shared[USER_3], before[0]), not torch.equal(offset[USER_3], before[1])) == moved


def test_offsets_are_zero_at_first_so_that_nothing_changes_until_they_learn():
    settings = load_settings("conf/demo.toml")
    plain = load_model("sparse_weight")
    fresh = [
        build(plain.model_copy(update={"offset": heads}), settings, sizes(START), seed=0) for heads in ([], ["cvr"])
    ]
    columns = next(iter(fresh[0].embeddings.values())).sizes_of_columns
    ids = torch.stack([columns - 1, torch.full_like(columns, 2)])
    without, with_offset = (model.logits(Batch(ids, {}, {}, torch.zeros(2, 0)), ["ctr", "cvr"]) for model in fresh)
    assert all(torch.equal(without[head], with_offset[head]) for head in ("ctr", "cvr"))
    assert (without["ctr"] != without["cvr"]).sum() == 0  # dense masks and one embedding: the heads are the same
    assert not fresh[1].offsets["cvr"].table.any()


def test_the_mean_of_the_weights_predicts_and_the_weights_learn():
    model = ranker(averaging=0.75)
    for weight in (2.0, 4.0, 0.0):
        with torch.no_grad():
            model.network.weight.fill_(weight)
        model.stepped()
    # the mean starts as the first weight: 2; then 0.75 * 2 + 0.25 * 4 = 2.5; then 0.75 * 2.5 + 0.25 * 0 = 1.875
    assert model.eval().logits(batch(), ["ctr"])["ctr"].item() == 1.875 * 6
    assert model.train().logits(batch(), ["ctr"])["ctr"].item() == 0


def test_tables_are_not_averaged_and_the_mean_is_not_trained():
    model = ranker(averaging=0.75)
    assert [name for name, _ in model.named_parameters() if name.startswith("mean")] == ["mean.module.weight"]
    adam = TaskOptimiser(model, ["ctr"], Optimiser())
    model.logits(batch(), ["ctr"])["ctr"].sum().backward()
    adam.step("ctr")
    assert set(adam.state()["ctr"]) == {"network.weight"}


def test_without_averaging_the_last_weights_predict():
    model = ranker()
    with torch.no_grad():
        model.network.weight.fill_(3.0)
    model.stepped()
    assert model.mean is None
    assert model.eval().logits(batch(), ["ctr"])["ctr"].item() == 18


def test_the_mean_goes_under_the_masks_too():
    """Without its inputs CTR says the same of every row; CVR has them still."""
    snet = SparseSharing([6, 4, 1], ("ctr", "cvr"), seed=0, masks=None)
    snet.masks.ctr_layer0.zero_()
    shared = Embedding(FEATURES, SIZES, 2, seed=0, name="shared")
    model = Ranker(("ctr", "cvr"), {"shared": shared}, Cross(FEATURES, 2), {}, {}, snet, averaging=0.5).eval()
    logits = model.logits(Batch(torch.tensor([[3, 2], [2, 1]]), {}, {}, torch.zeros(2, 0)), ["ctr", "cvr"])
    assert logits["ctr"][0] == logits["ctr"][1]
    assert logits["cvr"][0] != logits["cvr"][1]


def test_every_batch_of_a_pass_counts_in_the_mean():
    model = ranker(averaging=0.75)
    ones = {"click": torch.ones(5), "click_defined": torch.ones(5)}
    rows = Batch(torch.tensor([[3, 2]] * 5), ones, {}, torch.zeros(5, 0))
    steps = apart((CTR,)).steps
    adam = TaskOptimiser(model, ["ctr"], Optimiser())
    train_pass(model, adam, [rows], steps, batch_size=2, device=torch.device("cpu"), waiting=Waiting())
    assert model.mean.n_averaged == 3


def test_masks_are_found_without_them_so_that_models_which_add_them_share_their_masks():
    plain = load_model("sparse_weight")
    changed = plain.model_copy(update={"offset": ["cvr"], "averaging": 0.9})
    assert Pruning(load_settings("conf/demo.toml"), changed).plain == plain


@pytest.mark.parametrize("changes", [{"offset": ["cvr"]}, {"averaging": 0.9}])
def test_a_model_is_known_by_them_only_when_it_has_them(changes):
    """So that models that were trained before these choices existed are still those of their files."""
    plain = load_model("hard")
    assert set(plain.model_copy(update=changes).model_dump()) - set(plain.model_dump()) == set(changes)
