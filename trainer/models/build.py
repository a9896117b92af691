"""From a model file to a network."""

from collections.abc import Mapping

from torch import nn

from conf.errors import InputError
from conf.settings.model_file import NetworkModel, RankerModel, TaggerModel
from conf.settings.run_file import Settings
from etl.contract import FIRST_VALUE
from trainer.data.layout import Layout
from trainer.models.base import TaskModel
from trainer.models.domain_rankers import DomainRankers
from trainer.models.ranker import SHARED, build_ranker, by_domain
from trainer.models.tagger import Tagger, build_tagger
from trainer.parts.mask import Mask
from trainer.parts.routing import domain_ids
from trainer.seeding import seed_of

Sizes = Mapping[str, int]  # feature -> number of ids
Masks = Mapping[str, Mask] | None  # head -> mask


def build(model: NetworkModel, settings: Settings, sizes: Sizes, masks: Masks = None) -> TaskModel:
    """A freshly initialised network for vocabularies of the given sizes, its features in the order of the settings.

    Raises InputError when a task has a name that modules cannot have, or no domain is known to a model of domains.
    """
    if model.family == "ranker":
        return ranker(model, settings, sizes, masks)
    return tagger(model, settings, sizes, masks)


def ranker(model: RankerModel, settings: Settings, sizes: Sizes, masks: Masks = None) -> TaskModel:
    """As build."""
    _refuse_reserved_names(model)
    layout, seed = Layout.of(settings.features), settings.training.seed
    domain, kind = settings.domain_feature, model.domain.kind
    if domain and model.domain.needs_feature and not domain_ids(sizes[domain.name]):
        raise InputError(
            f"no value of feature '{domain.name}' has an id, so there is no domain to learn",
            where=f"[domain] kind = '{kind}'",
            hint="lower min_count of that feature, or name another one as [domain] feature of the run file",
        )
    if domain and kind == "separate":
        rankers = {
            each: build_ranker(model, layout, None, sizes, seed_of(seed, "ranker of one domain", each))
            for each in domain_ids(sizes[domain.name])
        }
        return DomainRankers(model.heads, rankers, by_domain(layout, domain, sizes))
    return build_ranker(model, layout, domain, sizes, seed, masks)


def tagger(model: TaggerModel, settings: Settings, sizes: Sizes, masks: Masks = None) -> Tagger:
    _refuse_reserved_names(model)
    layout = Layout.of(settings.features)
    tag = layout.feature(settings.tagger.tag_feature)
    return build_tagger(model, layout, tag, settings.domain_feature, sizes, settings.training.seed, masks)


def mask_shapes(model: NetworkModel, settings: Settings) -> dict[str, list[int]]:
    """Layer -> shape of the weights that task masks cover, which does not depend on the vocabulary."""
    smallest = {feature.name: FIRST_VALUE + 1 for feature in settings.features}
    return {name: list(weight.shape) for name, weight in build(model, settings, smallest).maskable_weights().items()}


def _refuse_reserved_names(model: NetworkModel) -> None:
    for kind in model.action_kinds:
        if kind == SHARED or hasattr(nn.ModuleDict(), kind) or hasattr(nn.ParameterDict(), kind):
            raise InputError(
                f"task {kind}: PyTorch modules use that name themselves",
                where="the model file",
                hint="rename that action in its log, or remove the task",
            )
