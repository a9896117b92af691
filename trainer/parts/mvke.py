"""Mixture of Virtual-Kernel Experts (MVKE sections 4.1 and 4.2): several user vectors, and a gate for each tag.

A virtual kernel is the learnt query of one expert (VKE) and one of the keys of every gate (VKG): the bridge between the
two towers. The gate sees the tag and the virtual kernels but never the user, so it is the same for all users. That is
why scoring all users against all tags takes only two matrix products (tagging/scoring/export.py).

MVKE eq. 4 and 7 leave the activation open. It is leaky ReLU here: under plain ReLU an all-negative query or key is
stuck, with uniform attention and no gradient.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trainer.parts.cross import pairs_of_fields
from trainer.parts.dense import Dense, Factor, effective
from trainer.seeding import generator

FIELD_STD = 0.25  # far above embeddings at the start (0.01), near what they grow to


class StackedLinear(nn.Module):
    """K independent linear layers, applied side by side: [K, ..., inputs] -> [K, ..., outputs]."""

    def __init__(self, stack: int, inputs: int, outputs: int, seed: int, name: str) -> None:
        super().__init__()
        bound, random = 1 / math.sqrt(inputs), generator(seed, name)
        self.weight = nn.Parameter(torch.empty(stack, inputs, outputs).uniform_(-bound, bound, generator=random))
        self.bias = nn.Parameter(torch.empty(stack, 1, outputs).uniform_(-bound, bound, generator=random))

    def forward(self, x: Tensor, which: Sequence[int], layer: str = "", factors: Sequence[Factor] = ()) -> Tensor:
        """Applies layer which[k] to x[k]; x is [len(which), N, inputs], or [1, N, inputs] as the same input for all.

        layer: the name by which factors know the weight.
        """
        chosen = list(which)
        return torch.matmul(x, effective(self.weight, layer, factors)[chosen]) + self.bias[chosen]


class VirtualKernelExperts(nn.Module):
    """The VKEs of a user tower: one vector per user and expert. Experts share the embedded fields and nothing else.

    Every field has a learnt vector that is added to its embedding (in no paper): keys and values come from the same
    weights for all fields, so while embeddings are small, attention could not tell fields apart otherwise.
    residual: the virtual kernel is added to what it attends to and the sum is normalised, as in the code that MVKE's
    authors published in part. pairs: adds the products of all pairs of weighted fields ("superimpose DeepFM", MVKE
    section 4.1).
    """

    def __init__(
        self,
        experts: int,
        fields: int,
        embedding_dim: int,
        attention_dim: int,
        hidden: Sequence[int],
        output_dim: int,
        seed: int,
        *,
        residual: bool = False,
        pairs: bool = False,
    ) -> None:
        super().__init__()
        self._residual, self._pairs = residual, pairs
        kernels = torch.randn(experts, attention_dim, generator=generator(seed, "virtual kernels"))
        self.kernels = nn.Parameter(kernels)  # W_VK
        of_fields = torch.randn(fields, embedding_dim, generator=generator(seed, "fields")) * FIELD_STD
        self.fields = nn.Parameter(of_fields)
        self.query = StackedLinear(experts, attention_dim, attention_dim, seed, "vke/query")
        self.key = StackedLinear(experts, embedding_dim, attention_dim, seed, "vke/key")
        self.value = StackedLinear(experts, embedding_dim, attention_dim, seed, "vke/value")
        widths = [attention_dim * (2 if pairs else 1), *hidden, output_dim]
        upper = {
            f"upper{n}": StackedLinear(experts, inputs, outputs, seed, f"vke/upper{n}")
            for n, (inputs, outputs) in enumerate(pairwise(widths))
        }
        self.upper = nn.ModuleList(upper.values())
        self._maskable = {"key": self.key, "value": self.value, **upper}

    def maskable_weights(self) -> dict[str, Tensor]:
        """Layer -> weights [K, in, out] of all experts, of the layers that see users."""
        return {name: layer.weight for name, layer in self._maskable.items()}

    def forward(self, fields: Tensor, which: Sequence[int], factors: Sequence[Factor] = ()) -> Tensor:
        """Embedded user fields [B, F, E] -> E_u^k [B, len(which), D] of these experts, counted from 0."""
        rows, count, width = fields.shape
        flat = (fields + self.fields).reshape(1, rows * count, width)
        shape = (len(which), rows, count, -1)
        query = F.leaky_relu(self.query(self.kernels[list(which)].unsqueeze(1), which))  # [K, 1, d], MVKE eq. 4
        key = F.leaky_relu(self.key(flat, which, "key", factors)).reshape(shape)
        value = F.leaky_relu(self.value(flat, which, "value", factors)).reshape(shape)
        affinity = (key @ query.unsqueeze(-1)).squeeze(-1) / math.sqrt(query.shape[-1])  # [K, B, F]
        attention = affinity.softmax(dim=-1)
        x = (attention.unsqueeze(2) @ value).squeeze(2)  # C_VKE [K, B, d], MVKE eq. 5
        if self._residual:
            x = F.layer_norm(x + self.kernels[list(which)].unsqueeze(1), x.shape[-1:])
        if self._pairs:
            x = torch.cat([x, pairs_of_fields(attention.unsqueeze(-1) * value)], -1)
        for depth, layer in enumerate(self.upper):  # f_u^k, MVKE eq. 6
            x = layer(x if depth == 0 else F.relu(x), which, f"upper{depth}", factors)
        return x.transpose(0, 1)


class VirtualKernelGate(nn.Module):
    """The VKG of one task: how much each of its experts counts for a tag (the softmax of MVKE eq. 7).

    The query uses only the direction of E_T, scaled to length sqrt(D): the cosine score leaves the length of tag
    vectors open, and a gate that depends on the length hardly tells tags apart while vectors are short. The value of
    MVKE eq. 7 is the expert's output itself: the expert's own last layers can absorb the transformation V(E_u^k).
    """

    def __init__(self, tag_dim: int, attention_dim: int, seed: int, name: str) -> None:
        super().__init__()
        self.query = Dense([tag_dim, attention_dim], seed, f"{name}/query", last_activation=False)
        self.key = Dense([attention_dim, attention_dim], seed, f"{name}/key", last_activation=False)

    def forward(self, tags: Tensor, kernels: Tensor) -> Tensor:
        """Tag vectors [B, D] and the task's virtual kernels [K, d] -> weights [B, K], rows sum to 1."""
        directions = F.normalize(tags, dim=-1) * math.sqrt(tags.shape[-1])
        query, key = F.leaky_relu(self.query(directions)), F.leaky_relu(self.key(kernels))
        return (query @ key.T / math.sqrt(key.shape[-1])).softmax(dim=-1)


class ProductGate(nn.Module):
    """The gate in the code that MVKE's authors published in part: the softmax of E_T . W_VK, without projections."""

    def forward(self, tags: Tensor, kernels: Tensor) -> Tensor:
        """Tag vectors [B, D] and the task's virtual kernels [K, D] -> weights [B, K], rows sum to 1."""
        return (tags @ kernels.T).softmax(dim=-1)
