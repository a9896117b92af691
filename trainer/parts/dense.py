"""Fully connected layers whose weights can be used under a mask."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.seeding import generator


class Dense(nn.Module):
    """Layers of the given widths with ReLU between them; `last_activation` adds one at the end.

    weights: layer name -> Parameter [out, in]; biases likewise [out].
    """

    def __init__(self, widths: Sequence[int], seed: int, name: str, *, last_activation: bool) -> None:
        super().__init__()
        self.weights = nn.ParameterDict()
        self.biases = nn.ParameterDict()
        self._last_activation = last_activation
        for n, (inputs, outputs) in enumerate(pairwise(widths)):
            layer = f"layer{n}"
            bound = math.sqrt(6 / inputs)  # He et al. 2015, eq. 10: for ReLU
            random = generator(seed, name, layer)
            self.weights[layer] = nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound, generator=random))
            self.biases[layer] = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor, masks: Mapping[str, Tensor] | None = None) -> Tensor:
        """x [B, in] to [B, out]; masks act functionally: the parameters are never written to."""
        layers = list(self.weights)
        for layer in layers:
            weight = self.weights[layer] if masks is None else self.weights[layer] * masks[layer]
            x = F.linear(x, weight, self.biases[layer])
            if layer != layers[-1] or self._last_activation:
                x = F.relu(x)
        return x
