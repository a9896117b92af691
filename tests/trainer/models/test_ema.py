"""The moving average of the network's weights, by which a ranker predicts."""

import torch
from torch import Tensor, nn

from conf.load import load_model, load_settings
from conf.settings.model_file import Optimiser
from conf.settings.run_file import Feature
from trainer.data.batch import Batch
from trainer.data.waiting import Waiting
from trainer.models.ranker import Ranker
from trainer.objectives.objective import one_step_per_head
from trainer.objectives.ranking import CTR
from trainer.parts.cross import Cross
from trainer.parts.embedding import Embedding
from trainer.parts.groups import Groups
from trainer.parts.sharing import SparseSharing
from trainer.pruning.rounds import Pruning
from trainer.training.loop import train_pass
from trainer.training.optimiser import StepOptimiser

FEATURES = [Feature(name=name, table="users", cross=True) for name in ("user", "age")]
SIZES = {"user": 4, "age": 3}
USER_3, AGE_2 = 3, 4 + 2


class Sum(nn.Module):
    """weight * the sum of a row, [B, 1], for every head."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor, heads: list[str], groups: Groups | None = None) -> dict[str, Tensor]:
        return {head: self.weight * x.sum(1, keepdim=True) for head in heads}


def ranker(ema_decay: float = 0.0) -> Ranker:
    """User 3 is (1, 2), age 2 is (3, -1), so their products are (3, -2) and all numbers of the row add up to 6."""
    shared = Embedding(FEATURES, SIZES, 2, seed=0, name="shared")
    with torch.no_grad():
        shared.table[USER_3], shared.table[AGE_2] = torch.tensor([1.0, 2.0]), torch.tensor([3.0, -1.0])
    return Ranker(("ctr", "cvr"), {"shared": shared}, Cross(FEATURES, 2), {}, Sum(), ema_decay)


def batch() -> Batch:
    return Batch(torch.tensor([[3, 2]]), {}, {}, torch.zeros(1, 0))


def test_the_average_predicts_and_the_weights_themselves_are_trained():
    model = ranker(ema_decay=0.75)
    for weight in (2.0, 4.0, 0.0):
        with torch.no_grad():
            model.network.weight.fill_(weight)
        model.after_step()
    # the average starts as the first weight: 2; then 0.75 * 2 + 0.25 * 4 = 2.5; then 0.75 * 2.5 + 0.25 * 0 = 1.875
    assert model.eval().logits(batch(), ["ctr"])["ctr"].item() == 1.875 * 6
    assert model.train().logits(batch(), ["ctr"])["ctr"].item() == 0


def test_tables_are_not_averaged_and_the_average_is_not_trained():
    model = ranker(ema_decay=0.75)
    assert [name for name, _ in model.named_parameters() if name.startswith("ema")] == ["ema.module.weight"]
    adam = StepOptimiser(model, ["ctr"], Optimiser())
    model.logits(batch(), ["ctr"])["ctr"].sum().backward()
    adam.step("ctr")
    assert set(adam.state()["ctr"]) == {"network.weight"}


def test_without_averaging_the_last_weights_predict():
    model = ranker()
    with torch.no_grad():
        model.network.weight.fill_(3.0)
    model.after_step()
    assert model.ema is None
    assert model.eval().logits(batch(), ["ctr"])["ctr"].item() == 18


def test_the_average_is_masked_too():
    """CTR's mask hides all inputs, so its rows are all alike; CVR still sees them."""
    snet = SparseSharing([6, 4, 1], ("ctr", "cvr"), seed=0, masks=None)
    snet.masks.ctr_layer0.zero_()
    shared = Embedding(FEATURES, SIZES, 2, seed=0, name="shared")
    model = Ranker(("ctr", "cvr"), {"shared": shared}, Cross(FEATURES, 2), {}, snet, ema_decay=0.5).eval()
    logits = model.logits(Batch(torch.tensor([[3, 2], [2, 1]]), {}, {}, torch.zeros(2, 0)), ["ctr", "cvr"])
    assert logits["ctr"][0] == logits["ctr"][1]
    assert logits["cvr"][0] != logits["cvr"][1]


def test_the_average_is_updated_after_every_step():
    model = ranker(ema_decay=0.75)
    ones = {"click": torch.ones(5), "click_defined": torch.ones(5)}
    rows = Batch(torch.tensor([[3, 2]] * 5), ones, {}, torch.zeros(5, 0))
    steps = one_step_per_head((CTR,)).steps
    adam = StepOptimiser(model, ["ctr"], Optimiser())
    train_pass(model, adam, [rows], steps, 2, torch.device("cpu"), Waiting(), torch.Generator())
    assert model.ema.n_averaged == 3


def test_masks_are_found_without_the_average_so_that_models_that_add_one_share_them():
    plain = load_model("sparse_weight")
    assert Pruning(load_settings("conf/demo.toml"), plain.model_copy(update={"ema_decay": 0.9})).plain == plain
