"""What every network above the embeddings offers, however its heads share layers."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from trainer.parts.groups import Groups


class HeadNetwork(nn.Module, ABC):
    """x [B, in] -> an output [B, out] for each head that is asked for.

    groups: which domain or cluster each row belongs to; only networks that treat them differently look at it.
    """

    @abstractmethod
    def forward(self, x: Tensor, heads: Sequence[str], groups: Groups | None = None) -> dict[str, Tensor]: ...

    def maskable_weights(self) -> dict[str, Tensor]:
        """Layer -> the weights that task masks can cover; empty when heads do not share by masks."""
        return {}
