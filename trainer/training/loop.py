"""One pass over one day."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch

from trainer.data.batch import Batch
from trainer.data.waiting import Waiting
from trainer.models.base import TaskModel
from trainer.objectives.objective import Step
from trainer.training.optimiser import StepOptimiser
from trainer.training.step_batches import step_batches

OBSERVED = "observed impressions"  # no name of a step: those are names of heads


@dataclass
class PassResult:
    """What a pass over the rows came to: mean loss and batches by step, rows, seconds, share of them spent waiting."""

    losses: dict[str, float] = field(default_factory=dict)
    batches: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    seconds: float = 0.0
    waiting_share: float = 0.0


def train_pass(
    model: TaskModel,
    optimiser: StepOptimiser,
    groups: Iterable[Batch],
    steps: Sequence[Step],
    batch_size: int,
    device: torch.device,
    waiting: Waiting,
    random: torch.Generator,
) -> PassResult:
    """Trains on batches of one step each; a step's heads see the network under their own masks (LT4REC Algorithm 1,
    lines 12 to 17).

    groups: the rows, in batches of any size. random: the generator for what models sample while they learn.
    """
    result = PassResult(batches={step.name: 0 for step in steps})
    sums = {step.name: torch.zeros((), device=device) for step in steps}
    started = time.perf_counter()
    model.train()
    by_name = {step.name: step for step in steps}
    takes = {step.name: step.rows for step in steps} | ({OBSERVED: every_row} if model.observes else {})
    for name, batch in step_batches(_counted(groups, result), takes, batch_size):
        batch = batch.to(device)
        if name == OBSERVED:
            model.observe(batch, len(batch) / batch_size)
            continue
        step = by_name[name]
        optimiser.zero_grad()
        loss = step.loss(model.logits(batch, step.heads), batch) + model.auxiliary_loss(batch, step.heads, random)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimiser.step(step.name)
        model.after_step()
        sums[step.name] += loss.detach()
        result.batches[step.name] += 1
    result.losses = {name: float(total) / max(result.batches[name], 1) for name, total in sums.items()}
    result.seconds = time.perf_counter() - started
    result.waiting_share = waiting.seconds / result.seconds
    return result


def every_row(batch: Batch) -> torch.Tensor:
    return torch.ones(len(batch), dtype=torch.bool)


def _counted(groups: Iterable[Batch], result: PassResult) -> Iterable[Batch]:
    for group in groups:
        result.rows += len(group)
        yield group
