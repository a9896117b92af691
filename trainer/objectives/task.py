"""What is predicted: a label, the rows on which it is learnt and judged, and the metric that decides."""

from dataclasses import dataclass

from torch import Tensor

from etl.contract import FIRST_VALUE, defined_by
from trainer.data.batch import Batch


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
