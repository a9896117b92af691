"""What a ranker learns: the [objective] section of its model file."""

from typing import Annotated, Literal

from pydantic import Field

from conf.settings.base import Name, Section

Conversion = Literal["share", "yes_no"]
Weight = Annotated[float, Field(gt=0, description="factor of this loss in the sum (LT4REC eq. 2, ESM2 eq. 11)")]


class WithConversion(Section):
    conversion: Conversion = Field(
        "share", description="what CVR learns: the conversion's value in [0, 1], or whether it converted"
    )


class TaskLoss(Section):
    """How the loss of one task counts."""

    weight: Weight = 1.0
    conflict: float = Field(
        0.0, ge=0, description="a row weighs 1 + conflict * (1 - label) (LT4REC section 2.2, point 2)"
    )
    oversample: int = Field(1, ge=1, description="times that a positive row is seen (DNN-OS of ESM2)")


class CtrCvr(WithConversion):
    """Each task learns from its own rows: CTR from impressions, CVR and further actions from clicks."""

    kind: Literal["ctr_cvr"]
    tasks: dict[Name, TaskLoss] = Field(
        {}, description="by task: ctr, cvr, and any kind of action from [labels] kinds, which then is a task too"
    )

    @property
    def action_kinds(self) -> tuple[str, ...]:
        return tuple(name for name in self.tasks if name not in ("ctr", "cvr"))

    @property
    def heads(self) -> tuple[str, ...]:
        return ("ctr", "cvr", *self.action_kinds)


class EsmmWeights(Section):
    ctr: Weight = 1.0
    ctcvr: Weight = 1.0


class Esmm(WithConversion):
    """Losses of CTR and CTCVR over all impressions (ESM2 section 4.1.3)."""

    kind: Literal["esmm"]
    weights: EsmmWeights = Field(EsmmWeights(), description="by loss")

    @property
    def action_kinds(self) -> tuple[str, ...]:
        return ()

    @property
    def heads(self) -> tuple[str, ...]:
        return ("ctr", "cvr")


class Esm2Weights(Section):
    ctr: Weight = 1.0
    ctavr: Weight = 1.0
    ctcvr: Weight = 1.0


class Esm2(WithConversion):
    """Losses of CTR, CTAVR and CTCVR over all impressions, composed of four heads (ESM2 eq. 8 to 11)."""

    kind: Literal["esm2"]
    weights: Esm2Weights = Field(Esm2Weights(), description="by loss")

    @property
    def action_kinds(self) -> tuple[str, ...]:
        return ()

    @property
    def heads(self) -> tuple[str, ...]:
        return ("ctr", "action", "cvr_after_action", "cvr_without_action")


RankingObjective = Annotated[CtrCvr | Esmm | Esm2, Field(discriminator="kind")]
