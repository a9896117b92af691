"""A tagger for the tests, and its scores taken literally."""

from pathlib import Path

import torch
from torch import Tensor

from conf.load import load_model, load_settings
from conf.models import TaggerModel
from etl.contract import columns_of
from trainer.batch import Batch
from trainer.tagger import Tagger, build

DEMO = Path(__file__).parents[2] / "conf" / "demo.toml"
FEATURES = load_settings(DEMO).features
SIZES = {"user_id": 40, "age": 6, "gender": 4, "region": 5, "tag": 22}
TAGS = range(2, 22)


def trained(scale: str = "one", **changes: object) -> Tagger:
    """A tagger whose weights are as far from their initial values as those of a trained one."""
    model = load_model("mvke")
    assert isinstance(model, TaggerModel)
    tagger = build(model.model_copy(update={"scale": scale, **changes}), load_settings(DEMO), SIZES, seed=1)
    random = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for table in (tagger.user_embedding.table, tagger.tag_embedding.table):
            table[table.abs().sum(1) > 0] = torch.randn(table[table.abs().sum(1) > 0].shape, generator=random)
        for gate in tagger.gates.values():
            for layer in (*gate.query.weights.values(), *gate.key.weights.values()):
                layer *= 2
        if tagger.score.log_scale is not None:
            tagger.score.log_scale.fill_(1.5)
    return tagger


def literal(tagger: Tagger, users: Tensor, task: str) -> Tensor:
    """Scores [U, T], each from the model's own logit of an impression of that user and an item with that one tag."""
    pairs = [(user, tag) for user in range(len(users)) for tag in TAGS]
    ids = torch.ones(len(pairs), len(columns_of(FEATURES)), dtype=torch.int64)
    ids[:, tagger.user_columns] = users[[user for user, _ in pairs]]
    ids[:, tagger.tag_columns] = torch.tensor([[tag, 0, 0] for _, tag in pairs])
    batch = Batch(ids, {}, {}, torch.empty(len(ids), 0))
    with torch.inference_mode():
        return torch.sigmoid(tagger.logits(batch, [task])[task]).reshape(len(users), len(TAGS))
