"""What training, prediction and checkpoints know of a model."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from trainer.data.batch import Batch
from trainer.parts.numbers import Statistics


class Predictor(Protocol):
    """What prediction knows of a model, whatever it is made of."""

    @property
    def value_columns(self) -> tuple[str, ...]:
        """Columns of samples that Batch.values has to hold."""

    def logits(self, batch: Batch, heads: Sequence[str]) -> dict[str, Tensor]:
        """head -> float32 [B], for the heads asked for."""


class TaskModel(nn.Module, ABC):
    """Logits by head; losses and probabilities live in trainer/objectives/objective.py."""

    heads: tuple[str, ...]
    value_columns: tuple[str, ...] = ()  # columns of samples that Batch.values has to hold

    def scale(self, statistics: Statistics) -> None:
        """Takes mean and deviation of the numeric features, once, before the first day; most models need none."""

    def auxiliary_loss(self, batch: Batch, heads: Sequence[str], random: torch.Generator) -> Tensor | float:
        """What it learns beside the labels of a batch, added to the loss of the step; nothing for most models."""
        return 0.0

    def after_step(self) -> None:
        """Told after every step of training; for models that keep a mean of their weights."""

    @abstractmethod
    def maskable_weights(self) -> dict[str, Tensor]:
        """Layer -> the weights that task masks cover; only of models that are trained under masks."""

    @abstractmethod
    def logits(self, batch: Batch, heads: Sequence[str]) -> dict[str, Tensor]:
        """head -> float32 [B], for the heads asked for; raises KeyError on an unknown one."""
