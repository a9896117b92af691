"""How the tasks share the network above the embedding. Each: x [B, width], task -> logits [B]."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from trainer.mask import Mask
from trainer.parts.dense import Dense


class Towers(nn.Module):
    """A tower a task over a shared bottom (hard sharing, LT4REC figure 2); without a bottom the tasks share nothing."""

    def __init__(self, width: int, hidden: Sequence[int], shared: int, tasks: Sequence[str], seed: int) -> None:
        super().__init__()
        widths = [width, *hidden, 1]
        self.bottom = Dense(widths[: shared + 1], seed, "bottom", last_activation=True)
        self.towers = nn.ModuleDict(
            {task: Dense(widths[shared:], seed, f"tower/{task}", last_activation=False) for task in tasks}
        )

    def forward(self, x: Tensor, task: str) -> Tensor:
        logits: Tensor = self.towers[task](self.bottom(x)).squeeze(-1)
        return logits


class SparseSharing(nn.Module):
    """sNET: one network of the size of a single task's, used by each task under its mask (LT4REC section 2.2).

    The masks cover the weight matrices, the output layer's included. Each task has an output bias of its own, since
    one shared number cannot hold the mean of both.
    """

    def __init__(
        self, width: int, hidden: Sequence[int], tasks: Sequence[str], seed: int, masks: Mapping[str, Mask] | None
    ) -> None:
        super().__init__()
        self.net = Dense([width, *hidden, 1], seed, "snet", last_activation=False)
        self.output_bias = nn.ParameterDict({task: nn.Parameter(torch.zeros(1)) for task in tasks})
        masks = masks or {task: Mask.ones(dict(self.net.weights.items())) for task in tasks}
        for task in tasks:
            for layer, values in masks[task].layers.items():
                self.register_buffer(f"mask_{task}_{layer}", values.float(), persistent=False)

    def masks_of(self, task: str) -> dict[str, Tensor]:
        return {layer: getattr(self, f"mask_{task}_{layer}") for layer in self.net.weights}

    def forward(self, x: Tensor, task: str) -> Tensor:
        logits: Tensor = self.net(x, self.masks_of(task)).squeeze(-1) + self.output_bias[task]
        return logits
