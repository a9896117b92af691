"""What a model file (conf/models/<run>.toml) declares: one choice on every axis."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from conf.settings import Section


class Optimiser(Section):
    learning_rate: float = Field(1e-3, gt=0)
    embedding_learning_rate: float = Field(2e-3, gt=0)
    batch_size: int = Field(128, ge=1, description="rows of one task's batch")


class Task(Section):
    """Training weight of a task: a and b of LT4REC eq. 2."""

    weight: float = Field(1.0, gt=0)


class RankerModel(Section):
    family: Literal["ranker"]
    sharing: Literal["single", "hard", "sparse_weight"] = Field(
        description="single: a network a task; hard: shared bottom, own towers; sparse_weight: sNET under task masks"
    )
    objective: Literal["ctr_cvr"] = "ctr_cvr"
    embedding_dim: int = Field(16, ge=1)
    hidden: list[int] = Field([256, 128, 64], min_length=1, description="widths of the hidden layers")
    shared_layers: int = Field(0, ge=0, description="hard only: how many of the hidden layers are shared")
    optimiser: Optimiser = Optimiser()
    tasks: dict[Literal["ctr", "cvr"], Task] = Field(default_factory=dict)

    def weight(self, task: Literal["ctr", "cvr"]) -> float:
        return self.tasks.get(task, Task()).weight

    @model_validator(mode="after")
    def _shared_layers_fit(self) -> "RankerModel":
        if (self.sharing == "hard") != (self.shared_layers > 0):
            raise ValueError("shared_layers > 0 goes with sharing = 'hard', and only with it")
        if self.shared_layers > len(self.hidden):
            raise ValueError(f"shared_layers = {self.shared_layers} but there are {len(self.hidden)} hidden layers")
        return self


class TaggerModel(Section):
    family: Literal["tagger"]
    experts: int = Field(5, ge=1, description="K, the number of virtual kernels and VKEs")
    assignment: dict[Literal["interest", "intention"], list[int]] = Field(
        description="task -> its VKEs, counted from 1 (MVKE section 4.2: interest 1-3, intention 2-5)"
    )
    embedding_dim: int = Field(16, ge=1)
    attention_dim: int = Field(16, ge=1, description="d_K of eq. 5 and 7")
    output_dim: int = Field(32, ge=1, description="D, width of user and tag vectors")
    hidden: list[int] = Field([64], description="widths of the layers that follow the attention in a VKE (eq. 6)")
    scale: Literal["one", "learned"] = Field("one", description="p = sigmoid(scale * cos), eq. 2; one as in the paper")
    optimiser: Optimiser = Optimiser()

    @model_validator(mode="after")
    def _assignment_fits(self) -> "TaggerModel":
        if set(self.assignment) != {"interest", "intention"}:
            raise ValueError("[assignment] needs both tasks: interest and intention")
        for task, experts in self.assignment.items():
            if not experts or len(set(experts)) < len(experts) or not set(experts) <= set(range(1, self.experts + 1)):
                raise ValueError(
                    f"[assignment] {task} = {experts}: name each VKE once, from 1 to experts = {self.experts}"
                )
        return self


Model = Annotated[RankerModel | TaggerModel, Field(discriminator="family")]
