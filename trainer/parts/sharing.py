"""Networks whose heads share a bottom (hard sharing) or all weights under masks (sparse sharing)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from trainer.parts.dense import Dense, Factor
from trainer.parts.groups import Groups
from trainer.parts.head_network import HeadNetwork
from trainer.parts.mask import Mask


class SharedBottom(HeadNetwork):
    """A tower for each head over `shared` bottom layers (hard sharing, LT4REC figure 2); with none, separate networks.

    widths: of the input, all hidden layers, and the output. groups: as in Dense, for all layers.
    """

    def __init__(
        self, widths: Sequence[int], shared: int, heads: Sequence[str], seed: int, groups: Sequence[int] = ()
    ) -> None:
        super().__init__()
        self.bottom = Dense(widths[: shared + 1], seed, "bottom", last_activation=True, groups=groups if shared else ())
        self.towers = nn.ModuleDict(
            {
                head: Dense(widths[shared:], seed, f"tower/{head}", last_activation=False, groups=groups)
                for head in heads
            }
        )

    def forward(self, x: Tensor, heads: Sequence[str], groups: Groups | None = None) -> dict[str, Tensor]:
        bottom = self.bottom(x, groups=groups)
        return {head: self.towers[head](bottom, groups=groups) for head in heads}


class SparseSharing(HeadNetwork):
    """sNET: one network of the size of a single task's, used by each head under its mask (LT4REC section 2.2).

    Masks cover the weight matrices, including the output layer's. Each head has an output bias of its own, since one
    shared bias cannot hold the means of all heads. Without masks every head uses all weights. groups: as in Dense; a
    mask covers the shared weights, and with them what the groups multiply them by.
    """

    def __init__(
        self,
        widths: Sequence[int],
        heads: Sequence[str],
        seed: int,
        masks: Mapping[str, Mask] | None,
        groups: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.net = Dense(widths, seed, "snet", last_activation=False, groups=groups)
        self.output_bias = nn.ParameterDict({head: nn.Parameter(torch.zeros(widths[-1])) for head in heads})
        self.masks = HeadMasks(self.maskable_weights(), heads, masks)

    def maskable_weights(self) -> dict[str, Tensor]:
        return dict(self.net.weights.items())

    def mask_of(self, head: str) -> Factor:
        return self.masks.of(head)

    def forward(self, x: Tensor, heads: Sequence[str], groups: Groups | None = None) -> dict[str, Tensor]:
        return {head: self.net(x, [self.masks.of(head)], groups) + self.output_bias[head] for head in heads}


class HeadMasks(nn.Module):
    """Each head's mask over the same weights as a factor of 0 and 1; without masks, all ones."""

    def __init__(self, weights: Mapping[str, Tensor], heads: Sequence[str], masks: Mapping[str, Mask] | None) -> None:
        super().__init__()
        self._layers = list(weights)
        masks = masks or dict.fromkeys(heads, Mask.ones(weights))
        for head in heads:
            for layer in self._layers:
                self.register_buffer(f"{head}_{layer}", masks[head].layers[layer].float(), persistent=False)

    def of(self, head: str) -> Factor:
        return {layer: getattr(self, f"{head}_{layer}") for layer in self._layers}
