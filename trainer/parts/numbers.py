"""Numeric features as numbers instead of embeddings (ESM2 section 4.3.2)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from conf.settings.run_file import Feature
from etl.contract import value_columns

Statistics = Mapping[str, Mapping[str, float | None]]


class Numbers(nn.Module):
    """Raw values [B, N], NaN where missing -> tanh((v - mean) / std) [B, N], 0 where missing (ESM2 eq. 17).

    Mean and deviation are set once and stored in checkpoints, so that a value means the same on every day. Until they
    are set they are NaN, and so is every loss.
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
        """Sets mean and std by feature. A day without values gives 0 and 1; equal values give std 1."""
        mean = [statistics[name]["mean"] or 0.0 for name in self.names]
        std = [statistics[name]["std"] or 1.0 for name in self.names]
        self.mean.copy_(torch.tensor(mean))
        self.std.copy_(torch.tensor(std))

    def forward(self, values: Tensor) -> Tensor:
        return torch.where(values.isnan(), 0.0, torch.tanh((values - self.mean) / self.std))
