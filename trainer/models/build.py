"""From a model file to a network, whatever its family."""

from collections.abc import Mapping

from torch import nn

from conf.errors import InputError
from conf.settings.model_file import RankerModel, TaggerModel
from conf.settings.run_file import Settings
from trainer.models import ranker, tagger
from trainer.models.base import TaskModel
from trainer.parts.mask import Mask


def build(
    model: RankerModel | TaggerModel,
    settings: Settings,
    sizes: Mapping[str, int],
    masks: Mapping[str, Mask] | None = None,
) -> TaskModel:
    """A freshly initialised network for vocabularies of the given sizes.

    Raises InputError when a task has a name that modules cannot have.
    """
    for kind in model.kinds:
        if kind == ranker.SHARED or hasattr(nn.ModuleDict(), kind) or hasattr(nn.ParameterDict(), kind):
            raise InputError(
                f"[tasks] {kind}: PyTorch's modules use that name themselves",
                where="the model file",
                hint="rename that action in its log, or take the task out",
            )
    seed = settings.training.seed
    if model.family == "ranker":
        return ranker.build(model, settings, sizes, seed, masks)
    return tagger.build(model, settings, sizes, seed, masks)


def mask_shapes(model: RankerModel | TaggerModel, settings: Settings) -> dict[str, list[int]]:
    """Layer -> shape of the weights that task masks cover; no vocabulary is needed to know them."""
    smallest = {feature.name: 2 for feature in settings.features}
    return {name: list(weight.shape) for name, weight in build(model, settings, smallest).maskable_weights().items()}
