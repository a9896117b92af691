"""The objectives of rankers: ctr_cvr (LT4REC), esmm and esm2 (ESM2)."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from conf.settings.objective import Conversion, Esm2, Esmm, RankingObjective, TaskLoss
from etl.contract import kind_label
from trainer.data.batch import Batch
from trainer.objectives import chain
from trainer.objectives.losses import cross_entropy_of_log
from trainer.objectives.objective import Logits, Objective, Step, one_step_per_head
from trainer.objectives.task import Task

CTR = Task("ctr", "click", "click", "auc", True)


def ranking_objective(declared: RankingObjective) -> Objective:
    """The objective that the [objective] section of a model file declares."""
    if declared.kind == "ctr_cvr":
        return ctr_cvr(declared.conversion, declared.tasks)
    return esmm(declared) if declared.kind == "esmm" else esm2(declared)


def ctr_cvr(conversion: Conversion, losses: Mapping[str, TaskLoss] | None = None) -> Objective:
    """CTR from all impressions, CVR and further kinds of action from clicked ones (LT4REC section 2.1)."""
    cvr, kinds = _cvr(conversion), [name for name in losses or {} if name not in ("ctr", "cvr")]
    heads = (CTR, cvr, *(Task(kind, kind_label(kind), kind_label(kind), "auc", True) for kind in kinds))
    return one_step_per_head(heads, losses, composed=(_over_impressions("ctcvr", cvr),))


def esmm(declared: Esmm) -> Objective:
    """CTR and CTCVR = CTR * CVR learnt from all impressions, CVR only through them (ESM2 section 4.1.3)."""
    cvr = _cvr(declared.conversion)
    weights = {"ctr": declared.weights.ctr, "ctcvr": declared.weights.ctcvr}
    return _entire_space((CTR, cvr), (CTR, cvr, _over_impressions("ctcvr", cvr)), chain.independent, weights)


def esm2(declared: Esm2) -> Objective:
    """Four heads, and three losses over all impressions (ESM2 eq. 8 to 11)."""
    cvr = _cvr(declared.conversion)
    action = Task(chain.Y2, "action", "action", "auc", True)
    after = Task(chain.Y3, cvr.label, "converted", cvr.metric, cvr.higher_is_better, given=(("action", 1),))
    without = Task(chain.Y4, cvr.label, "converted", cvr.metric, cvr.higher_is_better, given=(("action", 0),))
    targets = (CTR, _over_impressions("ctavr", action), cvr, _over_impressions("ctcvr", cvr))
    given = declared.weights
    weights = {"ctr": given.ctr, "ctavr": given.ctavr, "ctcvr": given.ctcvr}
    return _entire_space((CTR, action, after, without), targets, chain.esm2, weights)


def _entire_space(
    heads: tuple[Task, ...],
    targets: tuple[Task, ...],
    composed: Callable[[Logits], dict[str, Tensor]],
    weights: Mapping[str, float],
) -> Objective:
    """One kind of step over all impressions; its loss is the weighted sum of the losses of the targets in `weights`."""
    learnt = [target for target in targets if target.name in weights]

    def loss(logits: Logits, batch: Batch) -> Tensor:
        logs = composed(logits)
        return torch.stack([loss_of(target, logs[target.name], batch) for target in learnt]).sum()

    def loss_of(target: Task, log_probability: Tensor, batch: Batch) -> Tensor:
        rows = target.rows(batch)
        each = cross_entropy_of_log(log_probability, batch.labels[target.label])
        return weights[target.name] * (each * rows).sum() / rows.sum().clamp(min=1)

    return Objective(
        heads, targets, (Step("entire_space", tuple(head.name for head in heads), CTR.rows, loss),), composed
    )


def _cvr(conversion: Conversion) -> Task:
    if conversion == "share":
        return Task("cvr", "conversion", "converted", "mse", False)
    return Task("cvr", "converted", "converted", "auc", True)


def _over_impressions(name: str, task: Task) -> Task:
    return Task(name, task.label, task.positive, "auc", True, entire_space=True)
