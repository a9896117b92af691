"""What a model learns and predicts: heads, steps and targets.

A head is an output of the network. A step says what one optimiser step learns from: which rows, and the loss of some
heads on them. A target is a probability that is predicted and evaluated, possibly composed of several heads. An
objective of a paper is a choice of the three; networks only know heads by name.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from conf.settings.objective import TaskLoss
from trainer.data.batch import Batch
from trainer.objectives import chain
from trainer.objectives.losses import cross_entropy
from trainer.objectives.task import Task

Logits = Mapping[str, Tensor]


@dataclass(frozen=True)
class Step:
    """What one optimiser step learns from.

    heads: the outputs it needs. rows: Batch -> the rows it learns from, bool [B] or indices (which may repeat).
    loss: logits by head, each [B], and their rows -> a scalar, a mean over the rows.
    """

    name: str
    heads: tuple[str, ...]
    rows: Callable[[Batch], Tensor]
    loss: Callable[[Logits, Batch], Tensor]


@dataclass(frozen=True)
class Objective:
    """heads: each with the rows and label whose conditional probability it is, by which its mask is found."""

    heads: tuple[Task, ...]
    targets: tuple[Task, ...]
    steps: tuple[Step, ...]
    log_probabilities: Callable[[Logits], dict[str, Tensor]]

    @property
    def head_names(self) -> tuple[str, ...]:
        return tuple(head.name for head in self.heads)

    @property
    def label_columns(self) -> tuple[str, ...]:
        """The columns of samples that its steps learn from and its targets are evaluated on."""
        return tuple(dict.fromkeys(c for task in (*self.heads, *self.targets) for c in task.label_columns))

    def probabilities(self, logits: Logits) -> dict[str, Tensor]:
        """Logits of all heads, [B] each -> target -> probability [B] in [0, 1]."""
        return {name: value.exp() for name, value in self.log_probabilities(logits).items()}


def one_step_per_head(
    heads: Sequence[Task], losses: Mapping[str, TaskLoss] | None = None, composed: Sequence[Task] = ()
) -> Objective:
    """Each head learns by itself, from batches of its own rows (LT4REC Algorithm 1, lines 12 to 17).

    losses: how the loss of a head counts. composed: further targets that are evaluated but not learnt.
    """
    losses = losses or {}
    steps = tuple(
        Step(
            head.name,
            (head.name,),
            partial(_rows, head, losses.get(head.name, TaskLoss()).oversample),
            partial(_head_loss, head, losses.get(head.name, TaskLoss())),
        )
        for head in heads
    )
    return Objective(tuple(heads), (*heads, *composed), steps, chain.independent)


def _rows(head: Task, oversample: int, batch: Batch) -> Tensor:
    rows = head.rows(batch)
    if oversample == 1:
        return rows
    times = torch.where(batch.labels[head.positive] > 0, oversample, 1) * rows
    return torch.arange(len(batch), device=rows.device).repeat_interleave(times)


def _head_loss(head: Task, loss: TaskLoss, logits: Logits, batch: Batch) -> Tensor:
    """a or b of LT4REC eq. 2 times the cross entropy, in which a row weighs 1 + conflict * (1 - label).

    LT4REC section 2.2 gives CVR more weight where a clicked sample is hardly watched, without saying how much. Here the
    weight grows with what is missing: a full view weighs 1 and none weighs 1 + conflict.
    """
    labels = batch.labels[head.label]
    weights = 1 + loss.conflict * (1 - labels) if loss.conflict else None
    return loss.weight * cross_entropy(logits[head.name], labels, weights)
