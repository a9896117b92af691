"""What a model file (conf/models/<name>.toml) declares: one choice on every axis."""

from typing import Annotated, Any, Literal, TypeGuard

from pydantic import Field, model_validator

from conf.settings.base import Name, Section
from conf.settings.domain import NoDomain, RankerDomain, TowerDomain
from conf.settings.objective import Conversion, CtrCvr, RankingObjective
from conf.settings.sharing import NetworkSharing, TowerSharing


class Optimiser(Section):
    """Adam, a row being an impression."""

    learning_rate: float = Field(1e-3, gt=0, description="of the network, a step")
    embedding_learning_rate: float = Field(2e-3, gt=0, description="of the embedding tables, a step")
    batch_size: int = Field(128, ge=1, description="rows of one step")


class ModelFile(Section):
    def choices(self) -> dict[str, object]:
        """All choices as one flat table, for people to compare: {"sharing": "mmoe", "sharing.experts": 4, ...}."""
        return _flat(self.model_dump(mode="json", exclude={"family"}))


def _flat(declared: dict[str, Any], prefix: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in declared.items():
        if isinstance(value, dict):
            found |= _flat(value, f"{prefix}{key}.")
        elif key == "kind" and prefix:
            found[prefix.removesuffix(".")] = value
        else:
            found[f"{prefix}{key}"] = value
    return found


class ExclusiveEmbedding(Section):
    """A further embedding that a head shares with no other (LT4REC's multi-view)."""

    dim: int = Field(ge=1, description="width, in numbers")
    heads: list[str] = Field(min_length=1, description="the heads that have one")


class RankerEmbedding(Section):
    dim: int = Field(16, ge=1, description="width of a feature's vector, in numbers")
    numeric: Literal["bucketed", "tanh"] = Field(
        "bucketed",
        description="a numeric feature is the embedding of its bucket, or the number tanh((v - mean) / std) (ESM2 eq."
        " 17) with mean and std of the [training] start day",
    )
    exclusive: ExclusiveEmbedding | None = Field(None, description="a further embedding of some heads; none by default")


# kind of [domain] -> the kinds of [sharing] that it works with
UNMASKED = ("single", "hard", "moe", "mmoe", "cgc")
PLAIN_LAYERS = ("single", "hard", "sparse_weight", "sparse_neuron")  # layers that can have factors by group
FITS = {
    "none": (*UNMASKED, "sparse_weight", "sparse_neuron"),
    "separate": UNMASKED,
    "shared_bottom": UNMASKED,
    "ple": ("single", "hard"),
    "star": PLAIN_LAYERS,
    "adaptdhm": PLAIN_LAYERS,
}


class RankerModel(ModelFile):
    """A network over embeddings and their products."""

    family: Literal["ranker"]
    kind: Literal["network"]
    embedding: RankerEmbedding = Field(RankerEmbedding(), description="how features become vectors")
    sharing: Annotated[NetworkSharing, Field(discriminator="kind")] = Field(description="how the heads share layers")
    objective: RankingObjective = Field(CtrCvr(kind="ctr_cvr"), description="heads, losses and targets")
    domain: RankerDomain = Field(NoDomain(kind="none"), description="what differs between domains or clusters of rows")
    ema_decay: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="decay, a step, of the moving average of the network's weights that predicts; 0: no average",
    )
    optimiser: Optimiser = Field(Optimiser(), description="Adam's settings")

    @property
    def heads(self) -> tuple[str, ...]:
        """Outputs of the network, in order."""
        return self.objective.heads

    @property
    def action_kinds(self) -> tuple[str, ...]:
        """Kinds of action that are tasks of their own."""
        return self.objective.action_kinds

    @property
    def conversion(self) -> Conversion:
        return self.objective.conversion

    @model_validator(mode="after")
    def _exclusive_embeddings_fit(self) -> "RankerModel":
        exclusive = self.embedding.exclusive
        if exclusive and self.sharing.kind == "single":
            raise ValueError("sharing 'single' shares no embedding: remove [embedding.exclusive]")
        if exclusive and (unknown := sorted(set(exclusive.heads) - set(self.heads))):
            raise ValueError(f"[embedding.exclusive] heads = {unknown}: the heads are {', '.join(self.heads)}")
        return self

    @model_validator(mode="after")
    def _domain_fits(self) -> "RankerModel":
        if self.sharing.kind not in FITS[self.domain.kind]:
            raise ValueError(
                f"[domain] kind = '{self.domain.kind}' needs [sharing] kind = {' or '.join(FITS[self.domain.kind])}"
            )
        if self.domain.kind == "ple" and self.sharing.kind == "hard" and not self.sharing.bottom_hidden:
            raise ValueError("[domain] kind = 'ple' makes experts of [sharing] bottom_hidden: give at least one layer")
        return self


class GbdtModel(ModelFile):
    """Boosted trees for each task, by LightGBM: a ranker without a network. Defaults: ESM2 section 4.1.4."""

    family: Literal["ranker"]
    kind: Literal["gbdt"]
    conversion: Conversion = Field(
        "yes_no", description="what CVR learns: the conversion's value in [0, 1], or whether it converted"
    )
    trees: int = Field(150, ge=1, description="trees of a task")
    depth: int = Field(8, ge=1, le=16, description="levels of a tree, the only bound on its leaves")
    min_rows: int = Field(20, ge=1, description="rows that each side of a split must have")
    row_share: float = Field(0.6, gt=0, le=1, description="share of the rows sampled for a tree")
    feature_share: float = Field(0.6, gt=0, le=1, description="share of the columns sampled for a tree")
    learning_rate: float = Field(0.05, gt=0, le=1, description="shrinkage of a tree; the paper does not say")


class TaggerEmbedding(Section):
    dim: int = Field(16, ge=1, description="width of a feature's vector, in numbers")


class TaggerModel(ModelFile):
    """Two towers: users and tags. The user tower is a network, or MVKE's experts."""

    family: Literal["tagger"]
    kind: Literal["network"] = Field("network", description="taggers are networks")
    tasks: list[Name] = Field(
        ["interest", "intention"],
        min_length=1,
        description="interest, intention, and any kind of action after a click from [labels] kinds",
    )
    embedding: TaggerEmbedding = Field(TaggerEmbedding(), description="how features become vectors")
    sharing: Annotated[TowerSharing, Field(discriminator="kind")] = Field(description="how tasks share the user tower")
    domain: TowerDomain = Field(NoDomain(kind="none"), description="whether the user tower differs between clusters")
    interaction: Literal["none", "fm"] = Field(
        "none", description="fm: the summed products of all pairs of user fields (DeepFM), beside the fields"
    )
    output_dim: int = Field(32, ge=1, description="D, width of user and tag vectors, in numbers")
    scale: Literal["one", "learned"] = Field("one", description="p = sigmoid(scale * cos); one: MVKE eq. 2")
    negatives: float = Field(
        0.0,
        ge=0,
        description="randomly sampled tags for each row, learnt as negatives (MVKE section 5.1, step 2). 0: a score is"
        " the chance given an impression; the larger, the more it says of all tags what a user will meet and like",
    )
    optimiser: Optimiser = Field(Optimiser(), description="Adam's settings")

    @property
    def heads(self) -> tuple[str, ...]:
        """Outputs of the network, in order."""
        return tuple(self.tasks)

    @property
    def action_kinds(self) -> tuple[str, ...]:
        """Kinds of action that are tasks of their own."""
        return tuple(name for name in self.tasks if name not in ("interest", "intention"))

    @model_validator(mode="after")
    def _tasks_are_distinct(self) -> "TaggerModel":
        if len(set(self.tasks)) < len(self.tasks):
            raise ValueError(f"tasks = {self.tasks}: name each once")
        return self

    @model_validator(mode="after")
    def _domain_fits(self) -> "TaggerModel":
        if self.domain.kind == "adaptdhm" and self.sharing.kind not in PLAIN_LAYERS:
            raise ValueError(f"[domain] kind = 'adaptdhm' needs [sharing] kind = {' or '.join(PLAIN_LAYERS)}")
        return self

    @model_validator(mode="after")
    def _experts_fit(self) -> "TaggerModel":
        sharing = self.sharing
        if not sharing.fits(self.output_dim):
            raise ValueError(
                "gate = 'product' multiplies tag vectors and kernels: set attention_dim and output_dim ="
                f" {self.output_dim} to the same width"
            )
        if sharing.kind == "mvke":
            if set(sharing.assignment) != set(self.tasks):
                raise ValueError(f"[sharing.assignment] must name each of {', '.join(self.tasks)}, and nothing else")
            for task, experts in sharing.assignment.items():
                if len(set(experts)) < len(experts) or max(experts) > sharing.virtual_kernels:
                    raise ValueError(
                        f"[sharing.assignment] {task} = {experts}: name each expert once, from 1 to virtual_kernels ="
                        f" {sharing.virtual_kernels}"
                    )
        return self


RankingModel = RankerModel | GbdtModel
NetworkModel = RankerModel | TaggerModel
Model = Annotated[Annotated[RankingModel, Field(discriminator="kind")] | TaggerModel, Field(discriminator="family")]


def needs_masks(model: Model) -> TypeGuard[NetworkModel]:
    """Whether it is a network under task masks, which must be found before it is trained."""
    return model.kind == "network" and model.sharing.is_masked
