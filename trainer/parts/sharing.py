"""How the heads share the network above the embedding. Each: x [B, width], heads -> head -> logits [B]."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from trainer.mask import Mask
from trainer.parts.dense import Dense


class Towers(nn.Module):
    """A tower a head over a shared bottom (hard sharing, LT4REC figure 2); without a bottom they share no layer."""

    def __init__(self, width: int, hidden: Sequence[int], shared: int, heads: Sequence[str], seed: int) -> None:
        super().__init__()
        widths = [width, *hidden, 1]
        self.bottom = Dense(widths[: shared + 1], seed, "bottom", last_activation=True)
        self.towers = nn.ModuleDict(
            {head: Dense(widths[shared:], seed, f"tower/{head}", last_activation=False) for head in heads}
        )

    def forward(self, x: Tensor, heads: Sequence[str]) -> dict[str, Tensor]:
        bottom = self.bottom(x)
        return {head: self.towers[head](bottom).squeeze(-1) for head in heads}


class SparseSharing(nn.Module):
    """sNET: one network of the size of a single task's, used by each head under its mask (LT4REC section 2.2).

    The masks cover the weight matrices, the output layer's included. Each head has an output bias of its own, since
    one shared number cannot hold the means of all.
    """

    def __init__(
        self, width: int, hidden: Sequence[int], heads: Sequence[str], seed: int, masks: Mapping[str, Mask] | None
    ) -> None:
        super().__init__()
        self.net = Dense([width, *hidden, 1], seed, "snet", last_activation=False)
        self.output_bias = nn.ParameterDict({head: nn.Parameter(torch.zeros(1)) for head in heads})
        masks = masks or {head: Mask.ones(dict(self.net.weights.items())) for head in heads}
        for head in heads:
            for layer, values in masks[head].layers.items():
                self.register_buffer(f"mask_{head}_{layer}", values.float(), persistent=False)

    def masks_of(self, head: str) -> dict[str, Tensor]:
        return {layer: getattr(self, f"mask_{head}_{layer}") for layer in self.net.weights}

    def forward(self, x: Tensor, heads: Sequence[str]) -> dict[str, Tensor]:
        return {head: self.net(x, self.masks_of(head)).squeeze(-1) + self.output_bias[head] for head in heads}
