"""Fully connected layers whose effective weights are products of factors."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.parts.groups import Groups
from trainer.seeding import generator

Factor = Mapping[str, Tensor]  # layer -> what its weight is multiplied with, e.g. a task's 0/1 mask


def effective(weight: Tensor, layer: str, factors: Sequence[Factor]) -> Tensor:
    """The weight times all factors of its layer, as a new tensor: parameters are never written to."""
    for factor in factors:
        weight = weight * factor[layer]
    return weight


class GroupLayers(nn.Module):
    """What a group adds to shared layers: a factor for each weight and a term for each bias.

    STAR (Sheng et al. 2021) and AdaptDHM eq. 6, which has no biases. They start from 1 and 0: a new group starts as
    the shared layers.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.factors = nn.ParameterDict({layer: nn.Parameter(torch.ones_like(w)) for layer, w in weights.items()})
        self.biases = nn.ParameterDict({layer: nn.Parameter(torch.zeros(len(w))) for layer, w in weights.items()})

    def factor(self) -> Factor:
        return dict(self.factors.items())


class Dense(nn.Module):
    """Layers of the given widths with ReLU between them; `last_activation` adds one at the end.

    weights: layer name -> Parameter [out, in]; biases: layer name -> Parameter [out]. groups: those with layers of
    their own upon the shared ones; rows of any other group see the shared layers alone.
    """

    def __init__(
        self, widths: Sequence[int], seed: int, name: str, *, last_activation: bool, groups: Sequence[int] = ()
    ) -> None:
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
        self._of_groups = {group: GroupLayers(dict(self.weights.items())) for group in groups}
        self.of_groups = nn.ModuleDict({str(group): own for group, own in self._of_groups.items()})

    @property
    def groups(self) -> list[int]:
        return list(self._of_groups)

    def forward(self, x: Tensor, factors: Sequence[Factor] = (), groups: Groups | None = None) -> Tensor:
        """x [B, in] -> [B, out], each layer with its effective weight."""
        if groups is None or not self._of_groups:
            return self._through(self.layers(None, factors), x)
        return groups.join([self._through(self.layers(group, factors), rows) for group, rows in groups.split(x)])

    def layers(self, group: int | None, factors: Sequence[Factor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Effective weight [out, in] and bias [out] of each layer, for the rows of a group."""
        own = None if group is None else self._of_groups.get(group)
        factors = [*factors, own.factor()] if own else factors
        for layer, weight in self.weights.items():
            bias = self.biases[layer]
            yield effective(weight, layer, factors), bias + own.biases[layer] if own else bias

    def _through(self, layers: Iterable[tuple[Tensor, Tensor]], x: Tensor) -> Tensor:
        last = len(self.weights) - 1
        for n, (weight, bias) in enumerate(layers):
            x = F.linear(x, weight, bias)
            if n < last or self._last_activation:
                x = F.relu(x)
        return x
