"""How a mask is pruned by a round: single weights or whole neurons (LT4REC Algorithm 1, step b)."""

from collections.abc import Callable, Mapping
from itertools import pairwise

import torch
from torch import Tensor

from trainer.parts.mask import Mask


def prune_weights(mask: Mask, weights: Mapping[str, Tensor], fraction: float) -> Mask:
    """LT4REC Algorithm 1, step b: also masks the `fraction` of the kept weights with the smallest |weight|.

    The quantile is over the kept weights of all layers together. It is applied by count, so that after n rounds the
    pruned share is 1 - (1 - fraction)^n up to rounding, with or without ties.
    """
    names = list(mask.layers)
    kept = torch.cat([mask.layers[name].flatten() for name in names])
    size = torch.cat([weights[name].detach().abs().flatten() for name in names])
    size = torch.where(kept, size, torch.inf)
    count = round(fraction * int(kept.sum()))
    kept[torch.argsort(size, stable=True)[:count]] = False
    parts = torch.split(kept, [mask.layers[name].numel() for name in names])
    return Mask({name: part.reshape(mask.layers[name].shape) for name, part in zip(names, parts, strict=True)})


def prune_neurons(mask: Mask, weights: Mapping[str, Tensor], fraction: float) -> Mask:
    """s-neuron (LT4REC section 3.1): masks the hidden neurons whose incoming weights have the smallest norms.

    Each hidden layer by itself, since norms grow with the number of inputs; at least one neuron stays. A masked neuron
    loses its incoming and outgoing weights.
    """
    layers = {name: layer.clone() for name, layer in mask.layers.items()}
    names = list(layers)
    for name, following in pairwise(names):
        alive = mask.layers[name].any(dim=1)
        count = min(round(fraction * int(alive.sum())), int(alive.sum()) - 1)
        norms = (weights[name].detach() * mask.layers[name]).norm(dim=1)
        gone = torch.argsort(torch.where(alive, norms, torch.inf), stable=True)[:count]
        layers[name][gone] = False
        layers[following][:, gone] = False
    return Mask(layers)


PRUNE: dict[str, Callable[[Mask, Mapping[str, Tensor], float], Mask]] = {
    "sparse_weight": prune_weights,
    "sparse_neuron": prune_neurons,
    "mvke_sparse": prune_weights,
}
