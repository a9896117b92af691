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

from conf.models import Conversion, RankerModel, TaggerModel, TaskSettings
from conf.settings import Settings
from etl.contract import columns_of, feature_columns, kind_label
from trainer import chain
from trainer.batch import Batch
from trainer.task import Task, cross_entropy, cross_entropy_of_log

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


def objective_of(model: RankerModel | TaggerModel, settings: Settings) -> Objective:
    if model.family == "tagger":
        return apart(tagging_heads(model, settings))
    return _RANKING[model.objective](model)


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


def ctr_cvr(conversion: Conversion, tasks: Mapping[str, TaskSettings] | None = None) -> Objective:
    """CTR over all impressions, CVR over the clicked ones, further kinds of action too; LT4REC section 2.1."""
    cvr, kinds = _cvr(conversion), [name for name in tasks or {} if name not in ("ctr", "cvr")]
    heads = (CTR, cvr, *(Task(kind, kind_label(kind), kind_label(kind), "auc", True) for kind in kinds))
    return apart(heads, tasks, composed=(_over_impressions("ctcvr", cvr),))


def _esmm(model: RankerModel) -> Objective:
    """CTR and CTCVR = CTR * CVR learnt over all impressions, CVR only through them (ESM2 section 4.1.3)."""
    cvr = _cvr(model.conversion)
    return _entire_space((CTR, cvr), (CTR, cvr, _over_impressions("ctcvr", cvr)), chain.independent, model)


def _esm2(model: RankerModel) -> Objective:
    """Four heads, three losses over all impressions (ESM2 eq. 8 to 11)."""
    cvr = _cvr(model.conversion)
    action = Task(chain.Y2, "action", "action", "auc", True)
    after = Task(chain.Y3, cvr.label, "converted", cvr.metric, cvr.higher_is_better, given=(("action", 1),))
    without = Task(chain.Y4, cvr.label, "converted", cvr.metric, cvr.higher_is_better, given=(("action", 0),))
    targets = (CTR, _over_impressions("ctavr", action), cvr, _over_impressions("ctcvr", cvr))
    return _entire_space((CTR, action, after, without), targets, chain.esm2, model)


def _entire_space(
    heads: tuple[Task, ...],
    targets: tuple[Task, ...],
    composed: Callable[[Logits], dict[str, Tensor]],
    model: RankerModel,
) -> Objective:
    learnt = [target for target in targets if target == CTR or target.entire_space]

    def loss(logits: Logits, batch: Batch) -> Tensor:
        logs = composed(logits)
        return torch.stack([_of(target, logs[target.name], batch) for target in learnt]).sum()

    def _of(target: Task, log_probability: Tensor, batch: Batch) -> Tensor:
        rows = target.rows(batch)
        each = cross_entropy_of_log(log_probability, batch.labels[target.label])
        return model.task(target.name).weight * (each * rows).sum() / rows.sum().clamp(min=1)

    return Objective(
        heads, targets, (Step("entire_space", tuple(head.name for head in heads), CTR.rows, loss),), composed
    )


CTR = Task("ctr", "click", "click", "auc", True)


def _cvr(conversion: Conversion) -> Task:
    if conversion == "share":
        return Task("cvr", "conversion", "converted", "mse", False)
    return Task("cvr", "converted", "converted", "auc", True)


def _over_impressions(name: str, task: Task) -> Task:
    return Task(name, task.label, task.positive, "auc", True, entire_space=True)


_RANKING: dict[str, Callable[[RankerModel], Objective]] = {
    "ctr_cvr": lambda model: ctr_cvr(model.conversion, model.tasks),
    "esmm": _esmm,
    "esm2": _esm2,
}


def tagging_heads(model: TaggerModel, settings: Settings) -> tuple[Task, ...]:
    """Interest: is an item of these tags clicked; intention: does the click convert (MVKE section 3.1).

    A kind of action is a task too: does it follow the click (section 4.2, "users' more various actions").

    Impressions of items without any known tag say nothing about tags: they are neither learnt from nor counted.
    """
    tag = next(f for f in settings.features if f.name == settings.tagger.tag_feature)
    columns = columns_of(settings.features)
    tags = tuple(columns.index(column) for column in feature_columns(tag))
    labels = {"interest": "click", "intention": "converted", **{kind: kind_label(kind) for kind in model.kinds}}
    return tuple(Task(name, labels[name], labels[name], "auc", True, needs_value=tags) for name in model.tasks)
