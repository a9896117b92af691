"""Adam with a learning rate for the embeddings and one for everything above."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from conf.models import Optimiser


def build(model: nn.Module, settings: Optimiser) -> torch.optim.Optimizer:
    named = list(model.named_parameters())
    tables = [(name, parameter) for name, parameter in named if name.endswith(".table")]
    others = [(name, parameter) for name, parameter in named if not name.endswith(".table")]
    embedding_rate = settings.embedding_learning_rate or settings.learning_rate
    groups = [
        {"params": tables, "lr": embedding_rate},
        {"params": others, "lr": settings.learning_rate},
    ]
    return torch.optim.Adam(groups, fused=True)


def state_by_name(model: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, dict[str, Tensor]]:
    """Parameter name -> its state tensors; parameters that were never stepped are left out."""
    return {
        name: dict(optimiser.state[parameter])
        for name, parameter in model.named_parameters()
        if optimiser.state[parameter]
    }


def restore(model: nn.Module, optimiser: torch.optim.Optimizer, state: Mapping[str, Mapping[str, Tensor]]) -> None:
    for name, parameter in model.named_parameters():
        if name in state:
            optimiser.state[parameter] = {key: value.clone() for key, value in state[name].items()}
