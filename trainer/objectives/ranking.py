"""The objectives of rankers: ctr_cvr, esmm, esm2."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from conf.settings.model_file import Conversion, RankerModel, TaskSettings
from etl.contract import kind_label
from trainer.data.batch import Batch
from trainer.objectives import chain
from trainer.objectives.losses import cross_entropy_of_log
from trainer.objectives.objective import Logits, Objective, Step, apart
from trainer.objectives.task import Task


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
