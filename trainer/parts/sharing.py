"""How the heads share a network. Each: x [B, widths[0]], heads -> head -> [B, widths[-1]]."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from trainer.parts.dense import Dense
from trainer.parts.mask import Mask


class SharedBottom(nn.Module):
    """A tower a head over a shared bottom (hard sharing, LT4REC figure 2); without a bottom they share no layer."""

    def __init__(self, widths: Sequence[int], shared: int, heads: Sequence[str], seed: int) -> None:
        super().__init__()
        self.bottom = Dense(widths[: shared + 1], seed, "bottom", last_activation=True)
        self.towers = nn.ModuleDict(
            {head: Dense(widths[shared:], seed, f"tower/{head}", last_activation=False) for head in heads}
        )

    def forward(self, x: Tensor, heads: Sequence[str]) -> dict[str, Tensor]:
        bottom = self.bottom(x)
        return {head: self.towers[head](bottom) for head in heads}


class SparseSharing(nn.Module):
    """sNET: one network of the size of a single task's, used by each head under its mask (LT4REC section 2.2).

    The masks cover the weight matrices, the output layer's included. Each head has output biases of its own, since
    what is shared cannot hold the means of all.
    """

    def __init__(
        self, widths: Sequence[int], heads: Sequence[str], seed: int, masks: Mapping[str, Mask] | None
    ) -> None:
        super().__init__()
        self.net = Dense(widths, seed, "snet", last_activation=False)
        self.output_bias = nn.ParameterDict({head: nn.Parameter(torch.zeros(widths[-1])) for head in heads})
        self.masks = HeadMasks(self.maskable_weights(), heads, masks)

    def maskable_weights(self) -> dict[str, Tensor]:
        return dict(self.net.weights.items())

    def masks_of(self, head: str) -> dict[str, Tensor]:
        return self.masks.of(head)

    def forward(self, x: Tensor, heads: Sequence[str]) -> dict[str, Tensor]:
        return {head: self.net(x, self.masks.of(head)) + self.output_bias[head] for head in heads}


class HeadMasks(nn.Module):
    """The masks of all heads over the same weights, as floats to multiply with; without any, ones."""

    def __init__(self, weights: Mapping[str, Tensor], heads: Sequence[str], masks: Mapping[str, Mask] | None) -> None:
        super().__init__()
        self._layers = list(weights)
        masks = masks or dict.fromkeys(heads, Mask.ones(weights))
        for head in heads:
            for layer in self._layers:
                self.register_buffer(f"{head}_{layer}", masks[head].layers[layer].float(), persistent=False)

    def of(self, head: str) -> dict[str, Tensor]:
        return {layer: getattr(self, f"{head}_{layer}") for layer in self._layers}
