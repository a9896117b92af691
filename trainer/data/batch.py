"""Rows as the model sees them."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """B impressions.

    ids: int64 [B, C], columns as trainer.data.layout.Layout has them.
    labels: name -> float32 [B]; labels and the columns that say whether each is defined (etl.contract.LABELS).
    keys: name -> object array [B] (impression_id, user_id, ...); empty while training.
    values: float32 [B, N], the raw values of the numeric features that the model reads, NaN where missing; N may be 0.
    """

    ids: Tensor
    labels: dict[str, Tensor]
    keys: dict[str, NDArray[np.object_]]
    values: Tensor

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, chosen: Tensor | slice) -> "Batch":
        """The chosen rows (a slice, a boolean [B] or an index tensor); keys are dropped."""
        if isinstance(chosen, Tensor) and chosen.dtype == torch.bool:
            if bool(chosen.all()):
                return Batch(self.ids, self.labels, {}, self.values)
            chosen = chosen.nonzero().squeeze(1)  # once, not for every column
        labels = {name: label[chosen] for name, label in self.labels.items()}
        return Batch(self.ids[chosen], labels, {}, self.values[chosen])

    def to(self, device: torch.device) -> "Batch":
        if device == self.ids.device:
            return self
        labels = {name: label.to(device, non_blocking=True) for name, label in self.labels.items()}
        values = self.values.to(device, non_blocking=True)
        return Batch(self.ids.to(device, non_blocking=True), labels, self.keys, values)


def concatenate(batches: list[Batch]) -> Batch:
    """One batch of all rows; keys are dropped."""
    if len(batches) == 1:
        return batches[0]
    labels = {name: torch.cat([b.labels[name] for b in batches]) for name in batches[0].labels}
    return Batch(torch.cat([b.ids for b in batches]), labels, {}, torch.cat([b.values for b in batches]))
