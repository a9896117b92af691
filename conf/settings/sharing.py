"""How the heads of a network share it: the [sharing] section of a model file.

Widths are of hidden layers. A `moe` and its relatives are experts (expert_hidden) below a tower for each head
(tower_hidden).
"""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from conf.settings.base import Name, RunName, Section

Widths = list[PositiveInt]
SomeWidths = Annotated[Widths, Field(min_length=1)]


class SharingSection(Section):
    def fits(self, output_dim: int) -> bool:
        """Whether it can make user vectors of this width."""
        return True


class Unmasked(SharingSection):
    @property
    def is_masked(self) -> bool:
        return False

    @property
    def mask_suffix(self) -> str | None:
        return None


class Masked(SharingSection):
    masks: RunName | None = Field(
        None, description="suffix of the [masks] version; models whose networks have the same shape may share masks"
    )

    @property
    def is_masked(self) -> bool:
        return True

    @property
    def mask_suffix(self) -> str | None:
        return self.masks


class Single(Unmasked):
    """A network for each head, embeddings included."""

    kind: Literal["single"]
    hidden: SomeWidths = Field([256, 128, 64], description="widths of the hidden layers, in neurons")


class Hard(Unmasked):
    """Shared embeddings and bottom layers, a tower for each head (LT4REC figure 2)."""

    kind: Literal["hard"]
    bottom_hidden: Widths = Field(
        [], description="widths of the shared layers, in neurons; none: only the embeddings are shared"
    )
    tower_hidden: Widths = Field([], description="widths of the hidden layers of a head's tower, in neurons")

    @model_validator(mode="after")
    def _has_a_hidden_layer(self) -> "Hard":
        if not (self.bottom_hidden or self.tower_hidden):
            raise ValueError("no hidden layer: give bottom_hidden, tower_hidden or both")
        return self


class Mixture(Unmasked):
    """Experts mixed by gates, and a tower for each head."""

    experts: int = Field(ge=1, description="experts that all heads share")
    expert_hidden: SomeWidths = Field(description="widths of an expert's layers, in neurons")
    tower_hidden: Widths = Field([], description="widths of the hidden layers of a head's tower, in neurons")


class Moe(Mixture):
    """One gate for all heads."""

    kind: Literal["moe"]


class Mmoe(Mixture):
    """A gate for each head (Ma et al. 2018)."""

    kind: Literal["mmoe"]


class Cgc(Mixture):
    """A gate for each head, over shared experts and experts of its own (Tang et al. 2020, section 4.1)."""

    kind: Literal["cgc"]
    task_experts: int = Field(ge=1, description="experts of each head alone")


class SparseWeight(Masked):
    """sNET under a mask of single weights for each head (LT4REC section 2.2)."""

    kind: Literal["sparse_weight"]
    hidden: SomeWidths = Field([256, 128, 64], description="widths of sNET's hidden layers, in neurons")


class SparseNeuron(Masked):
    """sNET under a mask of whole neurons for each head (LT4REC section 3.1)."""

    kind: Literal["sparse_neuron"]
    hidden: SomeWidths = Field([256, 128, 64], description="widths of sNET's hidden layers, in neurons")


class VirtualKernels(SharingSection):
    """MVKE: experts that attend to the user's fields by a virtual kernel each (sections 4.1 and 4.2)."""

    virtual_kernels: int = Field(ge=1, description="K, the number of virtual kernels and of experts (VKEs)")
    attention_dim: int = Field(16, ge=1, description="d_K of MVKE eq. 5 and 7, in numbers")
    attention: Literal["plain", "residual"] = Field(
        "plain", description="plain: MVKE eq. 5; residual: the virtual kernel is added and the sum layer-normalised"
    )
    gate: Literal["projected", "product"] = Field(
        "projected",
        description="query and key of MVKE eq. 7 through a layer each, or the bare tag vector and kernels; a product"
        " needs attention_dim = output_dim",
    )
    hidden: Widths = Field(
        [64], description="widths of an expert's layers above its attention (MVKE eq. 6), in neurons"
    )

    def fits(self, output_dim: int) -> bool:
        return self.gate == "projected" or self.attention_dim == output_dim


class Mvke(VirtualKernels, Unmasked):
    """MVKE-mt: the tasks share the experts that [sharing.assignment] gives to both."""

    kind: Literal["mvke"]
    assignment: dict[Name, Annotated[list[PositiveInt], Field(min_length=1)]] = Field(
        description="task -> its experts, from 1 to virtual_kernels (MVKE section 4.2: interest 1-3, intention 2-5)"
    )


class MvkeSingle(VirtualKernels, Unmasked):
    """MVKE-st: a model for each task."""

    kind: Literal["mvke_single"]


class MvkeSparse(VirtualKernels, Masked):
    """All tasks use all experts, each under a mask over their weights (in no paper)."""

    kind: Literal["mvke_sparse"]


NetworkSharing = Single | Hard | Moe | Mmoe | Cgc | SparseWeight | SparseNeuron
TowerSharing = NetworkSharing | Mvke | MvkeSingle | MvkeSparse
