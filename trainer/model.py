"""From a model file to a network, whatever its family."""

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor, nn

from conf.models import RankerModel, TaggerModel
from conf.settings import Settings
from trainer import ranker, tagger
from trainer.batch import Batch
from trainer.mask import Mask


class TaskModel(Protocol):
    """What training, prediction and checkpoints know of a model; every one is an nn.Module as well."""

    tasks: tuple[str, ...]

    def logits(self, batch: Batch, task: str) -> Tensor:
        """float32 [B]"""


def build(
    model: RankerModel | TaggerModel,
    settings: Settings,
    sizes: Mapping[str, int],
    masks: Mapping[str, Mask] | None = None,
) -> nn.Module:
    """A freshly initialised network for vocabularies of the given sizes."""
    seed = settings.training.seed
    if model.family == "ranker":
        return ranker.build(model, settings, sizes, seed, masks)
    return tagger.build(model, settings, dict(sizes), seed)
