"""Fully connected layers whose effective weights are products of factors."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.seeding import generator

Factor = Mapping[str, Tensor]  # layer -> what its weight is multiplied with, e.g. a task's 0/1 mask


def effective(weight: Tensor, layer: str, factors: Sequence[Factor]) -> Tensor:
    """The weight times all factors of its layer, as a new tensor: parameters are never written to."""
    for factor in factors:
        weight = weight * factor[layer]
    return weight


class Dense(nn.Module):
    """Layers of the given widths with ReLU between them; `last_activation` adds one at the end.

    weights: layer name -> Parameter [out, in]; biases: layer name -> Parameter [out].
    """

    def __init__(self, widths: Sequence[int], seed: int, name: str, *, last_activation: bool) -> None:
        super().__init__()
        self.weights = nn.ParameterDict()
        self.biases = nn.ParameterDict()
        self._last_activation = last_activation
        for n, (inputs, outputs) in enumerate(pairwise(widths)):
            layer = f"layer{n}"
            bound = math.sqrt(6 / inputs)  # for ReLU: He et al. 2015, eq. 10
            random = generator(seed, name, layer)
            self.weights[layer] = nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound, generator=random))
            self.biases[layer] = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, factors: Sequence[Factor] = ()) -> Tensor:
        """x [B, in] -> [B, out], each layer with its effective weight."""
        layers = list(self.weights)
        for layer in layers:
            x = F.linear(x, effective(self.weights[layer], layer, factors), self.biases[layer])
            if layer != layers[-1] or self._last_activation:
                x = F.relu(x)
        return x
