"""What is predicted: a label, the rows on which it is learnt and evaluated, and the metric that decides."""

from dataclasses import dataclass

from torch import Tensor

from etl.contract import FIRST_VALUE, defined_by
from trainer.data.batch import Batch


@dataclass(frozen=True)
class Task:
    """One probability.

    label: the column to predict, in [0, 1]; positive: the same as yes or no, for AUC.
    metric: what decides between models of this task; higher_is_better: its direction.
    given: (label, 0 or 1) pairs; the task is only about rows with these values.
    entire_space: the task is about every impression, and one without a click is a negative.
    known_columns: columns of Batch.ids of which at least one must hold a known value; empty: every row qualifies.
    """

    name: str
    label: str
    positive: str
    metric: str
    higher_is_better: bool
    given: tuple[tuple[str, int], ...] = ()
    entire_space: bool = False
    known_columns: tuple[int, ...] = ()

    @property
    def label_columns(self) -> tuple[str, ...]:
        """The label columns of samples that this task needs."""
        labels = [self.label, self.positive, *(label for label, _ in self.given)]
        if self.entire_space:
            labels.append("click")
        return tuple(dict.fromkeys([*labels, *map(defined_by, labels)]))

    def rows(self, batch: Batch) -> Tensor:
        """bool [B]: the rows that this task is about and whose label is defined."""
        chosen = batch.labels[defined_by(self.label)] > 0
        if self.entire_space:
            chosen = (batch.labels[defined_by("click")] > 0) & (chosen | (batch.labels["click"] == 0))
        for label, value in self.given:
            chosen = chosen & (batch.labels[defined_by(label)] > 0) & (batch.labels[label] == value)
        if self.known_columns:
            chosen = chosen & (batch.ids[:, list(self.known_columns)] >= FIRST_VALUE).any(dim=1)
        return chosen

    def better(self, a: float, b: float) -> bool:
        return a > b if self.higher_is_better else a < b
