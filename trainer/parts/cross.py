"""Element-wise products of feature vectors (LT4REC figure 1)."""

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor, nn

from conf.settings.run_file import Feature


class Cross(nn.Module):
    """[B, F, dim] -> [B, (F + P) * dim]: all vectors, then the products of the P pairs of crossed features."""

    left: Tensor
    right: Tensor

    def __init__(self, features: Sequence[Feature], dim: int) -> None:
        super().__init__()
        pairs = list(combinations([n for n, feature in enumerate(features) if feature.cross], 2))
        self.width = (len(features) + len(pairs)) * dim
        self.register_buffer("left", torch.tensor([a for a, _ in pairs], dtype=torch.long), persistent=False)
        self.register_buffer("right", torch.tensor([b for _, b in pairs], dtype=torch.long), persistent=False)

    def forward(self, vectors: Tensor) -> Tensor:
        products = vectors[:, self.left] * vectors[:, self.right]
        return torch.cat([vectors, products], 1).flatten(1)


def pairs_of_fields(fields: Tensor) -> Tensor:
    """[..., F, dim] -> [..., dim]: the sum of the element-wise products of all pairs, ((sum v)^2 - sum v^2) / 2.

    The second-order term of DeepFM (Guo et al. 2017, eq. 2) before its sum over dimensions.
    """
    return (fields.sum(-2).square() - fields.square().sum(-2)) / 2
