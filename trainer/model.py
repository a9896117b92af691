"""From a model file to a network, whatever its family."""

from collections.abc import Mapping

from conf.models import RankerModel, TaggerModel
from conf.settings import Settings
from trainer import ranker, tagger
from trainer.mask import Mask
from trainer.task_model import TaskModel


def build(
    model: RankerModel | TaggerModel,
    settings: Settings,
    sizes: Mapping[str, int],
    masks: Mapping[str, Mask] | None = None,
) -> TaskModel:
    """A freshly initialised network for vocabularies of the given sizes."""
    seed = settings.training.seed
    if model.family == "ranker":
        return ranker.build(model, settings, sizes, seed, masks)
    return tagger.build(model, settings, dict(sizes), seed)
