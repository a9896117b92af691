"""What a model learns and what it is asked: heads, steps, targets.

A head is one output of the network. A step is one kind of batch: which rows, and the loss of some heads on them. A
target is a probability that is predicted and judged; it may be composed of several heads. A paper's objective is a
choice of the three; networks know heads by name and nothing more.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from conf.settings.model_file import TaskSettings
from trainer.data.batch import Batch
from trainer.objectives import chain
from trainer.objectives.losses import cross_entropy
from trainer.objectives.task import Task

Logits = Mapping[str, Tensor]


@dataclass(frozen=True)
class Step:
    """One kind of batch.

    heads: the outputs it needs. rows: Batch -> what it learns from, bool [B] or indices (which may repeat).
    loss: logits by head, each [B], and their rows -> a number, a mean over the rows.
    """

    name: str
    heads: tuple[str, ...]
    rows: Callable[[Batch], Tensor]
    loss: Callable[[Logits, Batch], Tensor]


@dataclass(frozen=True)
class Objective:
    """heads: each with the rows and label it is the conditional probability of, by which its mask is found."""

    heads: tuple[Task, ...]
    targets: tuple[Task, ...]
    steps: tuple[Step, ...]
    log_probabilities: Callable[[Logits], dict[str, Tensor]]

    @property
    def head_names(self) -> tuple[str, ...]:
        return tuple(head.name for head in self.heads)

    @property
    def label_columns(self) -> tuple[str, ...]:
        """The columns of samples that its steps learn from and its targets are judged by."""
        return tuple(dict.fromkeys(c for task in (*self.heads, *self.targets) for c in task.label_columns))

    def probabilities(self, logits: Logits) -> dict[str, Tensor]:
        """Logits of all heads, [B] each -> target -> probability [B] in [0, 1]."""
        return {name: value.exp() for name, value in self.log_probabilities(logits).items()}


def apart(
    heads: Sequence[Task], options: Mapping[str, TaskSettings] | None = None, composed: Sequence[Task] = ()
) -> Objective:
    """Every head learns for itself, from batches of its own (LT4REC Algorithm 1, lines 12 to 17).

    composed: targets that are judged and not learnt.
    """
    options = options or {}
    steps = tuple(
        Step(
            head.name,
            (head.name,),
            partial(_rows, head, options.get(head.name, TaskSettings()).oversample),
            partial(_head_loss, head, options.get(head.name, TaskSettings())),
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


def _head_loss(head: Task, options: TaskSettings, logits: Logits, batch: Batch) -> Tensor:
    """a or b of LT4REC eq. 2 times the cross entropy, in which a row weighs 1 + conflict * (1 - label).

    LT4REC section 2.2 weighs CVR up where a clicked sample is hardly watched, without saying how much: here in
    proportion to what is missing, so a full view weighs 1 and none 1 + conflict.
    """
    labels = batch.labels[head.label]
    weights = 1 + options.conflict * (1 - labels) if options.conflict else None
    return options.weight * cross_entropy(logits[head.name], labels, weights)
