"""How much of the network the tasks' masks share."""

from collections.abc import Mapping

import torch

from trainer.parts.mask import Mask


def overlap(masks: Mapping[str, Mask]) -> dict[str, dict[str, float]]:
    """Layer -> share of its weights by use: 'ctr only', 'cvr only', ..., 'shared' by several tasks, 'dead'."""
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
