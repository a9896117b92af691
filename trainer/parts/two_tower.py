"""The meeting of two towers: the tag tower and the cosine score (MVKE eq. 1 to 3)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.seeding import generator


class TagTower(nn.Module):
    """Pooled tag embeddings [B, E] -> tag vectors E_T [B, D].

    Linear and without bias, so that the vector of an item is the mean of its tags' vectors. What is learnt from items
    with several tags then holds for the single tags that are scored (MVKE eq. 3), and no tag is the zero vector.
    """

    def __init__(self, embedding_dim: int, output_dim: int, seed: int) -> None:
        super().__init__()
        bound, random = 1 / math.sqrt(embedding_dim), generator(seed, "tag tower")
        self.weight = nn.Parameter(torch.empty(output_dim, embedding_dim).uniform_(-bound, bound, generator=random))

    def forward(self, tags: Tensor) -> Tensor:
        return F.linear(tags, self.weight)


class CosineScore(nn.Module):
    """Logit = scale * cos(user, tag), where scale is 1 as in MVKE eq. 2, or a learnt positive number that starts at 1.

    With scale 1 a probability lies between sigmoid(-1) = 0.27 and sigmoid(1) = 0.73: the paper's scores order tags but
    are not calibrated.
    """

    def __init__(self, learned: bool) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(())) if learned else None

    def scale(self) -> Tensor:
        return torch.ones(()) if self.log_scale is None else self.log_scale.exp()

    def forward(self, users: Tensor, tags: Tensor) -> Tensor:
        """[..., D] and [..., D] -> [...]; a zero vector on either side gives 0, not NaN."""
        cosine = F.cosine_similarity(users, tags, dim=-1)
        return cosine if self.log_scale is None else self.scale() * cosine
