"""How masks are pruned, and what they have in common."""

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor

from trainer.parts.mask import Mask


def prune_weights(mask: Mask, weights: Mapping[str, Tensor], fraction: float) -> Mask:
    """Algorithm 1, step b: the smallest |weight| of those still kept are masked as well.

    The quantile is taken over all layers together and over the kept weights only; it is applied by count,
    so that after n rounds 1 - (1 - fraction)^n is pruned to rounding, ties or not.
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
    """s-neuron (LT4REC section 3.1): whole hidden neurons go, those with the smallest norm of incoming weights.

    Of each hidden layer by itself, since norms grow with the number of inputs; at least one neuron stays. With a neuron
    go its incoming and its outgoing weights, so that nothing of it is left.
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


PRUNE = {"sparse_weight": prune_weights, "sparse_neuron": prune_neurons}


def overlap(masks: Mapping[str, Mask]) -> dict[str, dict[str, float]]:
    """Layer -> share of its weights used by exactly these tasks: 'ctr only', 'shared', 'dead', ..."""
    tasks = sorted(masks)
    shares: dict[str, dict[str, float]] = {}
    for layer in masks[tasks[0]].layers:
        stacked = torch.stack([masks[task].layers[layer] for task in tasks])
        users = stacked.sum(0)
        shares[layer] = {
            f"{task} only": (stacked[n] & (users == 1)).float().mean().item() for n, task in enumerate(tasks)
        }
        shares[layer]["shared"] = (users > 1).float().mean().item()
        shares[layer]["dead"] = (users == 0).float().mean().item()
    return shares
