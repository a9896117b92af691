"""Experts mixed by gates, and a tower for each head: MoE, MMoE (Ma et al. 2018), CGC (Tang et al. 2020)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from trainer.parts.dense import Dense
from trainer.parts.groups import Groups
from trainer.parts.head_network import HeadNetwork
from trainer.seeding import generator


class ExpertLayers(nn.Module):
    """E networks of the same widths, computed together: [B, in] -> [B, E, out], with ReLU after every layer.

    They see the same input, so their first layers are one matrix product.
    """

    def __init__(self, experts: int, widths: Sequence[int], seed: int, name: str) -> None:
        super().__init__()
        self.experts = experts
        self.first = Dense([widths[0], experts * widths[1]], seed, f"{name}/layer0", last_activation=True)
        self.upper = nn.ParameterDict()
        self.biases = nn.ParameterDict()
        for n in range(1, len(widths) - 1):
            bound, random = (6 / widths[n]) ** 0.5, generator(seed, name, f"layer{n}")
            weights = torch.empty(experts, widths[n], widths[n + 1]).uniform_(-bound, bound, generator=random)
            self.upper[f"layer{n}"] = nn.Parameter(weights)
            self.biases[f"layer{n}"] = nn.Parameter(torch.zeros(experts, 1, widths[n + 1]))

    def forward(self, x: Tensor) -> Tensor:
        vectors: Tensor = self.first(x).unflatten(1, (self.experts, -1))
        for layer, weights in self.upper.items():
            vectors = torch.relu(torch.baddbmm(self.biases[layer], vectors.transpose(0, 1), weights)).transpose(0, 1)
        return vectors


class Experts(HeadNetwork):
    """`shared` experts for all heads and `own` experts for each head; a gate mixes those that a head may use.

    The first `expert_layers` of the widths belong to an expert, the rest to a tower. A gate is a softmax over experts,
    linear in the input. gate_per_head: MMoE and CGC; otherwise one gate serves all heads (MoE), which rules out `own`.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        expert_layers: int,
        heads: Sequence[str],
        shared: int,
        own: int,
        gate_per_head: bool,
        seed: int,
    ) -> None:
        super().__init__()
        self.shared = ExpertLayers(shared, widths[: expert_layers + 1], seed, "experts/shared")
        self.own = nn.ModuleDict(
            {head: ExpertLayers(own, widths[: expert_layers + 1], seed, f"experts/{head}") for head in heads}
            if own
            else {}
        )
        self._gate_of = {head: head if gate_per_head else "all" for head in heads}
        self.gates = nn.ModuleDict(
            {
                gate: Dense([widths[0], shared + own], seed, f"gate/{gate}", last_activation=False)
                for gate in dict.fromkeys(self._gate_of.values())
            }
        )
        self.towers = nn.ModuleDict(
            {head: Dense(widths[expert_layers:], seed, f"tower/{head}", last_activation=False) for head in heads}
        )

    def forward(self, x: Tensor, heads: Sequence[str], groups: Groups | None = None) -> dict[str, Tensor]:
        assert groups is None, "experts have no weights by group"
        shared = self.shared(x)
        found = {}
        for head in heads:
            experts = torch.cat([shared, self.own[head](x)], 1) if self.own else shared
            weights = self.gates[self._gate_of[head]](x).softmax(dim=1)
            mixed = (weights.unsqueeze(1) @ experts).squeeze(1)
            found[head] = self.towers[head](mixed)
        return found
