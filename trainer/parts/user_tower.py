"""User towers: a few vectors for a user, and how much each of them counts for a tag."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from trainer.parts.cross import pairs_of_fields
from trainer.parts.groups import Groups
from trainer.parts.head_network import HeadNetwork
from trainer.parts.mask import Mask
from trainer.parts.mvke import VirtualKernelExperts
from trainer.parts.routing import ByCluster, ClusterReport
from trainer.parts.sharing import HeadMasks


class UserTower(nn.Module, ABC):
    """Embedded user fields [B, F, E] and a head -> user vectors [B, K, D].

    A user's vector for a tag is the sum of the K vectors, weighted by a gate that is the same for all users.
    count: the number of vectors of all heads together.
    """

    count: int

    @abstractmethod
    def forward(self, fields: Tensor, head: str) -> Tensor: ...

    @abstractmethod
    def gate(self, tags: Tensor, head: str) -> Tensor:
        """Tag vectors [T, D] -> weights [T, K]; rows sum to 1."""

    @abstractmethod
    def vectors_of(self, head: str) -> list[int]:
        """Which of the `count` vectors the head uses, from 0."""

    @abstractmethod
    def maskable_weights(self) -> dict[str, Tensor]:
        """As in HeadNetwork."""

    @property
    def observes(self) -> bool:
        """Whether it learns from users as such, in `observe`."""
        return False

    def clusters(self) -> ClusterReport | None:
        """What it shows of the clusters of users since it was built; None when it has none."""
        return None

    def observe(self, fields: Tensor, whole: float) -> None:
        """Called with the users of batches of all impressions; `whole`: share of a whole batch's rows."""


class OneVector(UserTower):
    """One vector per user and head, whatever the tag, from a network whose layers the heads share in some way.

    routing: which cluster a user belongs to, for a network whose weights differ between clusters.
    """

    def __init__(self, layers: HeadNetwork, *, pairs: bool, routing: ByCluster | None = None) -> None:
        super().__init__()
        self.layers = layers
        self.routing = routing
        self._pairs = pairs
        self.count = 1

    def vectors_of(self, head: str) -> list[int]:
        return [0]

    def maskable_weights(self) -> dict[str, Tensor]:
        return self.layers.maskable_weights()

    def forward(self, fields: Tensor, head: str) -> Tensor:
        x = fields.flatten(1)
        if self._pairs:
            x = torch.cat([x, pairs_of_fields(fields)], 1)
        groups = Groups.of(self.routing.clusters(fields)) if self.routing else None
        found: Tensor = self.layers(x, [head], groups)[head]
        return found.unsqueeze(1)

    @property
    def observes(self) -> bool:
        return self.routing is not None

    def clusters(self) -> ClusterReport | None:
        return self.routing.report() if self.routing else None

    def observe(self, fields: Tensor, whole: float) -> None:
        if self.routing:
            self.routing.observe(fields, whole)

    def gate(self, tags: Tensor, head: str) -> Tensor:
        return tags.new_ones(len(tags), 1)


class MixtureOfExperts(UserTower):
    """MVKE: the VKEs that serve a head, and the head's gate. Under masks, a head uses what its mask leaves of them."""

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

    def vectors_of(self, head: str) -> list[int]:
        return self._experts_of[head]

    def maskable_weights(self) -> dict[str, Tensor]:
        return self.experts.maskable_weights()

    def forward(self, fields: Tensor, head: str) -> Tensor:
        factors = [self.masks.of(head)] if self.masks else []
        vectors: Tensor = self.experts(fields, self._experts_of[head], factors)
        return vectors

    def gate(self, tags: Tensor, head: str) -> Tensor:
        weights: Tensor = self.gates[head](tags, self.experts.kernels[self._experts_of[head]])
        return weights
