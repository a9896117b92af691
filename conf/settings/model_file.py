"""What a model file (conf/models/<run>.toml) declares: one choice on every axis."""

from abc import abstractmethod
from typing import Annotated, Any, ClassVar, Literal, TypeGuard

from pydantic import Field, model_validator

from conf.settings.base import Name, RunName, Section


class Optimiser(Section):
    learning_rate: float = Field(1e-3, gt=0)
    embedding_learning_rate: float = Field(2e-3, gt=0)
    batch_size: int = Field(128, ge=1, description="rows of one task's batch")


class TaskSettings(Section):
    """How one loss of the objective counts."""

    weight: float = Field(1.0, gt=0, description="a or b of LT4REC eq. 2; w of ESM2 eq. 11")
    conflict: float = Field(
        0.0, ge=0, description="ctr_cvr only: a row weighs 1 + conflict * (1 - label) (LT4REC section 2.2, point 2)"
    )
    oversample: int = Field(1, ge=1, description="ctr_cvr only: how often a positive row is seen (DNN-OS of ESM2)")


class ModelFile(Section):
    """section: the one of a run file that the model can stand in; also its --family, its folder and its experiment."""

    section: ClassVar[Literal["ranker", "tagger"]]

    def choices(self) -> dict[str, object]:
        """What it declares as one flat table, for people to compare."""
        declared: dict[str, Any] = self.model_dump(mode="json", exclude={"family"})
        optimiser = declared.pop("optimiser", {})
        return {**declared, **optimiser}


Sharing = Literal["single", "hard", "moe", "mmoe", "cgc", "sparse_weight", "sparse_neuron"]
MASKED = ("sparse_weight", "sparse_neuron")
GATED = ("moe", "mmoe", "cgc")
Conversion = Literal["share", "yes_no"]


def _not_chosen(value: object) -> bool:
    """Choices that older models could not make are no part of what a model is known by until they are made."""
    return not value


class Layers(ModelFile):
    """Fully connected layers between embeddings and outputs, and how the tasks share them."""

    sharing: Sharing | Literal["assigned"] = Field(
        description="single: a network a task, embeddings included; hard: shared embedding and bottom, own towers;"
        " moe, mmoe, cgc: experts as bottom, mixed by one gate, a gate a task, or a gate a task over shared and own"
        " experts; sparse_weight, sparse_neuron: sNET under task masks of single weights or of whole neurons"
    )
    embedding_dim: int = Field(16, ge=1)
    hidden: list[int] = Field([256, 128, 64], min_length=1, description="widths of the hidden layers")
    shared_layers: int = Field(
        0, ge=0, description="hidden layers of the bottom (hard) or of an expert (moe, mmoe, cgc); towers have the rest"
    )
    experts: int = Field(0, ge=0, description="moe, mmoe, cgc: experts shared by all heads")
    own_experts: int = Field(0, ge=0, description="cgc: experts of each head alone")
    masks: RunName | None = Field(
        None, description="suffix of the [masks] version, for a network of its own shape; models may share masks"
    )
    optimiser: Optimiser = Optimiser()

    @property
    @abstractmethod
    def heads(self) -> tuple[str, ...]:
        """Outputs of the network, in order."""

    @property
    @abstractmethod
    def kinds(self) -> tuple[str, ...]:
        """Kinds of action that are tasks of their own."""

    @property
    def is_masked(self) -> bool:
        return self.sharing in MASKED

    @model_validator(mode="after")
    def _layers_fit_the_sharing(self) -> "Layers":
        if self.shared_layers > len(self.hidden):
            raise ValueError(f"shared_layers = {self.shared_layers} but there are {len(self.hidden)} hidden layers")
        if self.shared_layers and self.sharing not in ("hard", *GATED):
            raise ValueError(f"shared_layers goes with sharing = 'hard', 'moe', 'mmoe' or 'cgc', not '{self.sharing}'")
        if (self.sharing in GATED) != (self.experts > 0):
            raise ValueError("experts > 0 goes with sharing = 'moe', 'mmoe' or 'cgc', and only with them")
        if self.sharing in GATED and not self.shared_layers:
            raise ValueError(f"sharing = '{self.sharing}' needs shared_layers: the layers of an expert")
        if (self.sharing == "cgc") != (self.own_experts > 0):
            raise ValueError("own_experts > 0 goes with sharing = 'cgc', and only with it")
        if self.masks and not self.is_masked:
            raise ValueError("masks goes with sharing = 'sparse_weight' or 'sparse_neuron', and only with them")
        return self


class RankerModel(Layers):
    section = "ranker"
    family: Literal["ranker"]
    sharing: Sharing
    objective: Literal["ctr_cvr", "esmm", "esm2"] = Field(
        "ctr_cvr", description="ctr_cvr: a loss a task; esmm, esm2: losses over all impressions, composed of heads"
    )
    conversion: Conversion = Field(
        "share", description="what CVR learns: the conversion's value in [0, 1], or whether it converted"
    )
    exclusive_dim: int = Field(0, ge=0, description="width of a further embedding that a head shares with no other")
    exclusive: list[str] = Field(default_factory=list, description="heads that have one (multi-view)")
    numeric: Literal["bucketed", "tanh"] = Field(
        "bucketed",
        description="a numeric feature is the embedding of its bucket, or one number tanh((v - mean) / std), ESM2 eq."
        " 17, with mean and std of the [training] start day",
    )
    ema_decay: float = Field(
        0.0,
        ge=0,
        lt=1,
        exclude_if=_not_chosen,
        description="decay a batch of the running mean of the network's weights that predicts; 0: the last ones do",
    )
    tasks: dict[Name, TaskSettings] = Field(
        default_factory=dict,
        description="by loss: ctr, cvr (ctr_cvr), ctr, ctcvr (esmm), ctr, ctavr, ctcvr (esm2); with ctr_cvr a kind of"
        " action from [labels] kinds adds a task",
    )

    def task(self, name: str) -> TaskSettings:
        return self.tasks.get(name, TaskSettings())

    @property
    def heads(self) -> tuple[str, ...]:
        """Outputs of the network, in order."""
        if self.objective == "esm2":
            return ("ctr", "action", "cvr_after_action", "cvr_without_action")
        return ("ctr", "cvr", *self.kinds)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of action that are tasks of their own."""
        return tuple(name for name in self.tasks if name not in _LOSSES[self.objective])

    @model_validator(mode="after")
    def _tasks_fit_the_objective(self) -> "RankerModel":
        if self.objective != "ctr_cvr":
            if self.kinds:
                raise ValueError(
                    f"[tasks] {self.kinds[0]}: the losses of {self.objective} are {', '.join(_LOSSES[self.objective])}"
                )
            if any(task.conflict or task.oversample > 1 for task in self.tasks.values()):
                raise ValueError("[tasks] conflict and oversample go with objective = 'ctr_cvr', and only with it")
        return self

    @model_validator(mode="after")
    def _exclusive_heads_are_heads(self) -> "RankerModel":
        if bool(self.exclusive) != (self.exclusive_dim > 0):
            raise ValueError("exclusive (which heads) and exclusive_dim (how wide) go together")
        if self.exclusive and self.sharing == "single":
            raise ValueError("sharing = 'single' shares no embedding: take exclusive out")
        if unknown := set(self.exclusive) - set(self.heads):
            raise ValueError(f"exclusive = {sorted(unknown)}: the heads are {', '.join(self.heads)}")
        return self


_LOSSES = {"ctr_cvr": ("ctr", "cvr"), "esmm": ("ctr", "ctcvr"), "esm2": ("ctr", "ctavr", "ctcvr")}


class GbdtModel(ModelFile):
    """Boosted trees, a model a task, by LightGBM: a ranker without a network. Defaults: ESM2 section 4.1.4."""

    section = "ranker"
    family: Literal["gbdt"]
    conversion: Conversion = Field("yes_no", description="what CVR learns, as for the other rankers")
    trees: int = Field(150, ge=1)
    depth: int = Field(8, ge=1, le=16, description="of a tree, which has no other bound on its leaves")
    min_rows: int = Field(20, ge=1, description="rows that each side of a split must have")
    row_share: float = Field(0.6, gt=0, le=1, description="rows drawn for a tree")
    feature_share: float = Field(0.6, gt=0, le=1, description="columns drawn for a tree")
    learning_rate: float = Field(0.05, gt=0, le=1, description="not in the paper")


class TaggerModel(Layers):
    """Two towers: users and tags. With virtual kernels the user's is MVKE's; else one vector a user and task."""

    section = "tagger"
    family: Literal["tagger"]
    sharing: Sharing | Literal["assigned"] = Field(
        description="of the user tower, as for rankers; assigned: MVKE, each task the VKEs that [assignment] gives it."
        " With virtual kernels: single, assigned, or sparse_weight (masks over the weights of the VKEs)"
    )
    tasks: list[Name] = Field(
        ["interest", "intention"], min_length=1, description="interest, intention, and kinds of action after a click"
    )
    interaction: Literal["none", "fm"] = Field(
        "none", description="fm: the products of all pairs of user fields, added up (DeepFM), beside the fields"
    )
    virtual_kernels: int = Field(0, ge=0, description="K, the number of virtual kernels and VKEs; 0: no MVKE")
    hidden: list[int] = Field([64], description="of the user tower, or of every VKE above its attention (eq. 6)")
    assignment: dict[Name, list[int]] = Field(
        default_factory=dict, description="task -> its VKEs, from 1 (MVKE section 4.2: interest 1-3, intention 2-5)"
    )
    attention_dim: int = Field(16, ge=1, description="d_K of eq. 5 and 7")
    attention: Literal["plain", "residual"] = Field(
        "plain", description="plain: eq. 5; residual: the virtual kernel added to it, and the sum layer-normalised"
    )
    gate: Literal["projected", "product"] = Field(
        "projected", description="query and key of eq. 7 through a layer each, or the bare tag vector and kernels"
    )
    output_dim: int = Field(32, ge=1, description="D, width of user and tag vectors")
    scale: Literal["one", "learned"] = Field("one", description="p = sigmoid(scale * cos), eq. 2; one as in the paper")
    negatives: float = Field(
        0.0,
        ge=0,
        exclude_if=_not_chosen,
        description="tags drawn at random for each row, learnt as if nothing had come of them (MVKE section 5.1, step"
        " 2); 0: a score says what comes of what is shown; above 0: more and more also what will be shown",
    )

    @property
    def heads(self) -> tuple[str, ...]:
        return tuple(self.tasks)

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(name for name in self.tasks if name not in ("interest", "intention"))

    def experts_of(self, task: str) -> tuple[int, ...]:
        """The VKEs that serve a task, from 0."""
        return tuple(k - 1 for k in self.assignment.get(task, range(1, self.virtual_kernels + 1)))

    @model_validator(mode="after")
    def _tower_fits(self) -> "TaggerModel":
        if len(set(self.tasks)) < len(self.tasks):
            raise ValueError(f"tasks = {self.tasks}: name each once")
        if self.virtual_kernels and self.sharing not in ("single", "assigned", "sparse_weight"):
            raise ValueError(
                f"virtual_kernels goes with sharing = 'single', 'assigned' or 'sparse_weight', not '{self.sharing}'"
            )
        if not self.virtual_kernels:
            if self.sharing == "assigned":
                raise ValueError("sharing = 'assigned' needs virtual_kernels: how many VKEs there are")
            if not self.hidden:
                raise ValueError("hidden is empty: only a VKE does without hidden layers")
            if (self.attention, self.gate) != ("plain", "projected"):
                raise ValueError("attention and gate go with virtual_kernels, and only with them")
        if self.gate == "product" and self.attention_dim != self.output_dim:
            raise ValueError(
                f"gate = 'product' multiplies tag vectors and kernels: attention_dim = {self.attention_dim}"
                f" must be output_dim = {self.output_dim}"
            )
        return self

    @model_validator(mode="after")
    def _assignment_fits(self) -> "TaggerModel":
        if (self.sharing == "assigned") != bool(self.assignment):
            raise ValueError("[assignment] goes with sharing = 'assigned', and only with it")
        if self.assignment and set(self.assignment) != set(self.tasks):
            raise ValueError(f"[assignment] is of {', '.join(self.assignment)}: give each of {', '.join(self.tasks)}")
        for task, experts in self.assignment.items():
            allowed = set(range(1, self.virtual_kernels + 1))
            if not experts or len(set(experts)) < len(experts) or not set(experts) <= allowed:
                raise ValueError(
                    f"[assignment] {task} = {experts}: name each VKE once, from 1 to virtual_kernels ="
                    f" {self.virtual_kernels}"
                )
        return self


RankingModel = RankerModel | GbdtModel
Model = Annotated[RankingModel | TaggerModel, Field(discriminator="family")]


def needs_masks(model: Model) -> TypeGuard[RankerModel | TaggerModel]:
    """Is it a network under task masks, which have to be found before it is trained?"""
    return model.family != "gbdt" and model.is_masked
