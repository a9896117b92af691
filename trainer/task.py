"""What is predicted: a label, the rows on which it is learnt and judged, and the metric that decides."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from etl.contract import FIRST_VALUE, defined_by
from trainer.batch import Batch


@dataclass(frozen=True)
class Task:
    """One probability.

    label: column of the target, in [0, 1]; `positive`: the same as a yes or no, for AUC.
    given: labels and the values they must have (0 or 1); the task is about such rows only.
    entire_space: the task is about every impression: an impression without a click is a negative.
    needs_value: columns of Batch.ids of which one must hold a known value; none: every row will do.
    metric: what decides between models of this task; `higher_is_better` says which way.
    """

    name: str
    label: str
    positive: str
    metric: str
    higher_is_better: bool
    given: tuple[tuple[str, int], ...] = ()
    entire_space: bool = False
    needs_value: tuple[int, ...] = ()

    @property
    def label_columns(self) -> tuple[str, ...]:
        """The columns of samples that say what happened, as far as this task has to know."""
        labels = [self.label, self.positive, *(label for label, _ in self.given)]
        if self.entire_space:
            labels.append("click")
        return tuple(dict.fromkeys([*labels, *map(defined_by, labels)]))

    def rows(self, batch: Batch) -> Tensor:
        """bool [B]: the rows that this task is about, its label being defined."""
        chosen = batch.labels[defined_by(self.label)] > 0
        if self.entire_space:
            chosen = (batch.labels[defined_by("click")] > 0) & (chosen | (batch.labels["click"] == 0))
        for label, value in self.given:
            chosen = chosen & (batch.labels[defined_by(label)] > 0) & (batch.labels[label] == value)
        if self.needs_value:
            chosen = chosen & (batch.ids[:, list(self.needs_value)] >= FIRST_VALUE).any(dim=1)
        return chosen

    def better(self, a: float, b: float) -> bool:
        return a > b if self.higher_is_better else a < b


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Of sigmoid(logits) with labels (a share in [0, 1] is a soft label): mean over rows, weighted when told."""
    return F.binary_cross_entropy_with_logits(logits, labels, weight=weights)


def cross_entropy_of_log(log_probability: Tensor, labels: Tensor) -> Tensor:
    """The same row by row for a probability given by its logarithm, exact also near 0 and 1."""
    return -(labels * log_probability + (1 - labels) * log_complement(log_probability))


def log_complement(log_probability: Tensor) -> Tensor:
    """log(1 - p) of log(p) <= 0, by the branch that keeps the digits (Maechler 2012); finite at p = 1 too."""
    log_p = log_probability.clamp(max=-SMALLEST)
    near_one = log_p > -0.6931471805599453
    # each branch sees only values that suit it, so that the other's gradient is no NaN
    by_expm1 = torch.log(-torch.expm1(torch.where(near_one, log_p, -1.0)))
    by_log1p = torch.log1p(-torch.exp(torch.where(near_one, -1.0, log_p)))
    return torch.where(near_one, by_expm1, by_log1p)


SMALLEST = 1e-7  # 1 - p counts as at least this
