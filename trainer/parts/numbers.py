"""Numeric features as numbers beside the embeddings (ESM2 section 4.3.2)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from conf.settings.run_file import Feature
from etl.contract import value_columns

Statistics = Mapping[str, Mapping[str, float | None]]


class Numbers(nn.Module):
    """Values [B, N] of the numeric features, NaN where missing, to tanh((v - mean) / std) [B, N]; missing: 0 (eq. 17).

    Mean and deviation stay what they are told once, and travel in checkpoints: a later day's model reads a value as the
    first day's did. Untold they are NaN, and so is every loss.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, features: Sequence[Feature]) -> None:
        super().__init__()
        numeric = [feature for feature in features if feature.kind == "numeric"]
        self.names, self.columns = [feature.name for feature in numeric], value_columns(numeric)
        for name in ("mean", "std"):
            self.register_buffer(name, torch.full((len(self.names),), torch.nan))

    def scale(self, statistics: Statistics) -> None:
        """Feature -> mean and std. Without a value in the day they come from: 0 and 1; all values alike: std 1."""
        mean = [statistics[name]["mean"] or 0.0 for name in self.names]
        std = [statistics[name]["std"] or 1.0 for name in self.names]
        self.mean.copy_(torch.tensor(mean))
        self.std.copy_(torch.tensor(std))

    def forward(self, values: Tensor) -> Tensor:
        return torch.where(values.isnan(), 0.0, torch.tanh((values - self.mean) / self.std))
