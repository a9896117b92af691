"""What the tasks of a model learn: label, rows, loss. The model gives logits by task name, nothing more."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from conf.models import RankerModel, TaggerModel
from conf.settings import Settings
from etl.contract import FIRST_VALUE, LABELS, columns_of, feature_columns
from trainer.batch import Batch


@dataclass(frozen=True)
class Task:
    """One task.

    label: column of the target, in [0, 1]; `positive`: the same as a yes or no, for AUC.
    needs_value: columns of Batch.ids of which one must hold a known value; none: every row will do.
    weight: a or b of LT4REC eq. 2.
    metric: what decides between models of this task; `higher_is_better` says which way.
    """

    name: str
    label: str
    positive: str
    metric: str
    higher_is_better: bool
    weight: float = 1.0
    needs_value: tuple[int, ...] = ()

    def rows(self, batch: Batch) -> Tensor:
        """bool [B]: the rows that this task learns from."""
        defined = batch.labels[LABELS[self.label]] > 0
        if self.needs_value:
            defined &= (batch.ids[:, list(self.needs_value)] >= FIRST_VALUE).any(dim=1)
        return defined

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        """Cross entropy of sigmoid(logits) with the label (a share in [0, 1] is a soft label), mean over rows."""
        return self.weight * F.binary_cross_entropy_with_logits(logits, batch.labels[self.label])

    def better(self, a: float, b: float) -> bool:
        return a > b if self.higher_is_better else a < b


def probabilities(logits: Tensor) -> Tensor:
    return torch.sigmoid(logits)


def ranking_tasks(model: RankerModel) -> tuple[Task, ...]:
    """CTR over all impressions, CVR (a share of watching, or 0 and 1) over the clicked ones; LT4REC section 2.1."""
    ctr = Task("ctr", "click", "click", "auc", True, weight=model.weight("ctr"))
    cvr = Task("cvr", "conversion", "converted", "mse", False, weight=model.weight("cvr"))
    return ctr, cvr


def tagging_tasks(settings: Settings) -> tuple[Task, ...]:
    """Interest: is an item of these tags clicked; intention: does the click convert. MVKE section 3.1.

    Impressions of items without any known tag say nothing about tags: they are neither learnt from nor counted.
    """
    tag = next(f for f in settings.features if f.name == settings.tagger.tag_feature)
    columns = columns_of(settings.features)
    tags = tuple(columns.index(column) for column in feature_columns(tag))
    return (
        Task("interest", "click", "click", "auc", True, needs_value=tags),
        Task("intention", "converted", "converted", "auc", True, needs_value=tags),
    )


def tasks_of(model: RankerModel | TaggerModel, settings: Settings) -> tuple[Task, ...]:
    return ranking_tasks(model) if model.family == "ranker" else tagging_tasks(settings)
