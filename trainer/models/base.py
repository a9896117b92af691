"""What training, prediction and checkpoints know of a model."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from trainer.data.batch import Batch
from trainer.parts.numbers import Statistics
from trainer.parts.routing import ClusterReport


class Predictor(Protocol):
    """All that prediction needs of a model: a network or trees."""

    @property
    def value_columns(self) -> tuple[str, ...]:
        """Columns of samples that Batch.values must hold."""

    def logits(self, batch: Batch, heads: Sequence[str]) -> dict[str, Tensor]:
        """head -> float32 [B], for these heads."""


class TaskModel(nn.Module, ABC):
    """A network with logits by head; losses and probabilities live in trainer/objectives."""

    heads: tuple[str, ...]
    value_columns: tuple[str, ...] = ()  # columns of samples that Batch.values must hold

    @abstractmethod
    def logits(self, batch: Batch, heads: Sequence[str]) -> dict[str, Tensor]:
        """head -> float32 [B], for these heads; raises KeyError on an unknown one."""

    @abstractmethod
    def maskable_weights(self) -> dict[str, Tensor]:
        """Layer -> the weights that task masks cover; empty for models that are not trained under masks."""

    def scale(self, statistics: Statistics) -> None:
        """Takes the mean and deviation of numeric features once, before the first day; most models need none."""

    def auxiliary_loss(self, batch: Batch, heads: Sequence[str], random: torch.Generator) -> Tensor | float:
        """A loss beside the labels' that is added to the step's loss; most models have none."""
        return 0.0

    def after_step(self) -> None:
        """Called after every optimiser step, for models that keep a moving average of their weights."""

    @property
    def observes(self) -> bool:
        """Whether it learns from impressions as such, clicked or not, in `observe`."""
        return False

    def clusters(self) -> Mapping[str, ClusterReport]:
        """Embedding that rows are routed by -> its clusters since the model was built; empty for most models."""
        return {}

    def observe(self, batch: Batch, whole: float) -> None:
        """Called with batches of all impressions, after their step; `whole`: their share of a whole batch's rows."""
