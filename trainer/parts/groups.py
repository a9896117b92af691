"""The rows of a batch by group (domain or cluster), so that each row passes through its own group's weights only."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Groups:
    """order: [B] the rows, group by group; place: [B] where each row went; sizes: (group, number of rows) of each."""

    order: Tensor
    place: Tensor
    sizes: tuple[tuple[int, int], ...]

    @staticmethod
    def of(groups: Tensor) -> "Groups":
        """groups: int64 [B], the group of each row."""
        order = groups.argsort(stable=True)
        present, counts = torch.unique(groups, sorted=True, return_counts=True)
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order), device=order.device)
        return Groups(order, place, tuple(zip(present.tolist(), counts.tolist(), strict=True)))

    def split(self, x: Tensor) -> list[tuple[int, Tensor]]:
        """x [B, ...] -> the rows of each group that has any."""
        parts = torch.split(x[self.order], [rows for _, rows in self.sizes])
        return [(group, part) for (group, _), part in zip(self.sizes, parts, strict=True)]

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """What `split` took apart, in the order of the batch."""
        return torch.cat(list(parts))[self.place]
