"""A task mask over the weights of sNET, as a value (LT4REC section 2.2)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Mask:
    """One task's mask: layer name -> bool tensor of the weight's shape, True where the task uses the weight."""

    layers: dict[str, Tensor]

    def __post_init__(self) -> None:
        for name, layer in self.layers.items():
            if layer.dtype != torch.bool:
                raise TypeError(f"mask of layer {name} holds {layer.dtype}, not bool")

    @staticmethod
    def ones(weights: Mapping[str, Tensor]) -> "Mask":
        return Mask({name: torch.ones_like(weight, dtype=torch.bool) for name, weight in weights.items()})

    @property
    def size(self) -> int:
        return sum(layer.numel() for layer in self.layers.values())

    @property
    def kept(self) -> int:
        return sum(int(layer.sum()) for layer in self.layers.values())

    @property
    def pruned_share(self) -> float:
        return 1 - self.kept / self.size

    def nested_in(self, outer: "Mask") -> bool:
        """Whether every weight kept here is kept by `outer` too."""
        return all(not (layer & ~outer.layers[name]).any() for name, layer in self.layers.items())

    def shapes(self) -> dict[str, list[int]]:
        return {name: list(layer.shape) for name, layer in self.layers.items()}


def identity(masks: Mapping[str, Mask]) -> str:
    """16 hex digits that stand for exactly these masks."""
    digest = hashlib.sha256()
    for task in sorted(masks):
        for name, layer in masks[task].layers.items():
            digest.update(f"{task}/{name}/{tuple(layer.shape)}".encode())
            digest.update(layer.cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
