"""A tagger for the tests, and its scores pair by pair."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from conf.load import load_model, load_settings
from tests.lakes.settings import DEMO
from trainer.data.batch import Batch
from trainer.data.layout import Layout
from trainer.models.tagger import Tagger, build_tagger
from trainer.parts.mask import Mask

LAYOUT = Layout.of(load_settings(DEMO).features)
SIZES = {"user_id": 40, "age": 6, "gender": 4, "region": 5, "tag": 22}
TAGS = range(2, 22)


def trained(
    scale: str = "learned",
    name: str = "mvke",
    masks: Mapping[str, Mask] | None = None,
    sizes: Mapping[str, int] = SIZES,
    sharing: Mapping[str, Any] | None = None,
    **changes: object,
) -> Tagger:
    """A tagger whose weights are as far from their initial values as those of a trained one.

    sharing, changes: keys of the model file's [sharing], and of the file, that differ.
    """
    model = load_model(name)
    assert model.family == "tagger"
    changed = {"scale": scale, "sharing": model.sharing.model_copy(update=sharing or {}), **changes}
    tagger = build_tagger(
        model.model_copy(update=changed), LAYOUT, LAYOUT.feature("tag"), None, sizes, seed=1, masks=masks
    )
    random = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in tagger.named_parameters():
            if name.endswith(".table"):
                rows = parameter.abs().sum(1) > 0
                parameter[rows] = torch.randn(parameter[rows].shape, generator=random)
            elif ".gates." in name and "weights" in name:
                parameter *= 2
            elif name.endswith("log_scale"):
                parameter.fill_(1.5)
    return tagger


def literal(tagger: Tagger, users: Tensor, task: str) -> Tensor:
    """Scores [U, T], each from the model's own logit of an impression of that user and an item with that one tag."""
    pairs = [(user, tag) for user in range(len(users)) for tag in TAGS]
    ids = torch.ones(len(pairs), len(LAYOUT.columns), dtype=torch.int64)
    ids[:, tagger.user_columns] = users[[user for user, _ in pairs]]
    ids[:, tagger.tag_columns] = torch.tensor([[tag, 0, 0] for _, tag in pairs])
    batch = Batch(ids, {}, {}, torch.empty(len(ids), 0))
    with torch.inference_mode():
        return torch.sigmoid(tagger.logits(batch, [task])[task]).reshape(len(users), len(TAGS))
