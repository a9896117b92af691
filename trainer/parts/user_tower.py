"""User towers: a few vectors for a user, and how much each of them counts for a tag."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from trainer.parts.cross import pairs_of_fields
from trainer.parts.mask import Mask
from trainer.parts.mvke import VirtualKernelExperts
from trainer.parts.sharing import HeadMasks, SparseSharing


class UserTower(nn.Module, ABC):
    """Embedded user fields [B, F, E] and a head -> vectors [B, K, D]. `count`: how many it has for all heads together.

    The user's vector for a tag is their sum, weighted by a gate that is the same for all users.
    """

    count: int

    @abstractmethod
    def gate(self, tags: Tensor, head: str) -> Tensor:
        """Tag vectors [T, D] -> weights [T, K], each row sums to 1."""

    @abstractmethod
    def places(self, head: str) -> list[int]:
        """Which of the `count` vectors the head's K are."""

    @abstractmethod
    def maskable_weights(self) -> dict[str, Tensor]:
        """As TaskModel's."""


class OneVector(UserTower):
    """One vector a user and head whatever the tag, by layers that the heads share in some way (parts/network.py)."""

    def __init__(self, layers: nn.Module, *, pairs: bool) -> None:
        super().__init__()
        self.layers = layers
        self._pairs = pairs
        self.count = 1

    def places(self, head: str) -> list[int]:
        return [0]

    def maskable_weights(self) -> dict[str, Tensor]:
        return cast(SparseSharing, self.layers).maskable_weights()

    def forward(self, fields: Tensor, head: str) -> Tensor:
        x = fields.flatten(1)
        if self._pairs:
            x = torch.cat([x, pairs_of_fields(fields)], 1)
        found: Tensor = self.layers(x, [head])[head]
        return found.unsqueeze(1)

    def gate(self, tags: Tensor, head: str) -> Tensor:
        return tags.new_ones(len(tags), 1)


class MixtureOfExperts(UserTower):
    """MVKE: the VKEs that serve a head, and its gate. With masks, a head uses of their weights what its mask leaves."""

    def __init__(
        self,
        experts: VirtualKernelExperts,
        experts_of: Mapping[str, Sequence[int]],
        gates: Mapping[str, nn.Module],
        masks: Mapping[str, Mask] | None,
    ) -> None:
        super().__init__()
        self.experts = experts
        self.count = len(experts.kernels)
        self._experts_of = {head: list(which) for head, which in experts_of.items()}
        self.gates = nn.ModuleDict(gates)
        self.masks = HeadMasks(experts.maskable_weights(), list(experts_of), masks) if masks else None

    def places(self, head: str) -> list[int]:
        return self._experts_of[head]

    def maskable_weights(self) -> dict[str, Tensor]:
        return self.experts.maskable_weights()

    def forward(self, fields: Tensor, head: str) -> Tensor:
        masks = self.masks.of(head) if self.masks else None
        vectors: Tensor = self.experts(fields, self._experts_of[head], masks)
        return vectors

    def gate(self, tags: Tensor, head: str) -> Tensor:
        weights: Tensor = self.gates[head](tags, self.experts.kernels[self._experts_of[head]])
        return weights
