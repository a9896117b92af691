"""From a model file to a network."""

from collections.abc import Mapping

from torch import nn

from conf.errors import InputError
from conf.settings.model_file import NetworkModel, RankerModel, TaggerModel
from conf.settings.run_file import Settings
from trainer.data.layout import Layout
from trainer.models.base import TaskModel
from trainer.models.ranker import SHARED, Ranker, build_ranker
from trainer.models.tagger import Tagger, build_tagger
from trainer.parts.mask import Mask

Sizes = Mapping[str, int]  # feature -> number of ids
Masks = Mapping[str, Mask] | None  # head -> mask


def build(model: NetworkModel, settings: Settings, sizes: Sizes, masks: Masks = None) -> TaskModel:
    """A freshly initialised network for vocabularies of the given sizes, its features in the order of the settings.

    Raises InputError when a task has a name that modules cannot have.
    """
    if model.family == "ranker":
        return ranker(model, settings, sizes, masks)
    return tagger(model, settings, sizes, masks)


def ranker(model: RankerModel, settings: Settings, sizes: Sizes, masks: Masks = None) -> Ranker:
    _refuse_reserved_names(model)
    return build_ranker(model, Layout.of(settings.features), sizes, settings.training.seed, masks)


def tagger(model: TaggerModel, settings: Settings, sizes: Sizes, masks: Masks = None) -> Tagger:
    _refuse_reserved_names(model)
    layout = Layout.of(settings.features)
    tag = layout.feature(settings.tagger.tag_feature)
    return build_tagger(model, layout, tag, sizes, settings.training.seed, masks)


def mask_shapes(model: NetworkModel, settings: Settings) -> dict[str, list[int]]:
    """Layer -> shape of the weights that task masks cover, which does not depend on the vocabulary."""
    smallest = {feature.name: 2 for feature in settings.features}
    return {name: list(weight.shape) for name, weight in build(model, settings, smallest).maskable_weights().items()}


def _refuse_reserved_names(model: NetworkModel) -> None:
    for kind in model.action_kinds:
        if kind == SHARED or hasattr(nn.ModuleDict(), kind) or hasattr(nn.ParameterDict(), kind):
            raise InputError(
                f"task {kind}: PyTorch modules use that name themselves",
                where="the model file",
                hint="rename that action in its log, or remove the task",
            )
