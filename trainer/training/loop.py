"""One pass over one day."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch

from trainer.data.batch import Batch
from trainer.data.reader import Waiting
from trainer.models.base import TaskModel
from trainer.objectives.objective import Step
from trainer.training.optimiser import StepOptimiser
from trainer.training.step_batches import step_batches


@dataclass
class Pass:
    """What one pass over the rows came to: mean loss and batches by step, seconds, share of them spent waiting."""

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
) -> Pass:
    """Trains on step batches; a step's heads see the network under their own masks (Algorithm 1, lines 12 to 17).

    random: what models draw while they learn is drawn from it.
    """
    done = Pass(batches={step.name: 0 for step in steps})
    sums = {step.name: torch.zeros((), device=device) for step in steps}
    started = time.perf_counter()
    model.train()
    for step, batch in step_batches(_counted(groups, done), steps, batch_size):
        batch = batch.to(device)
        optimiser.zero_grad()
        loss = step.loss(model.logits(batch, step.heads), batch) + model.auxiliary_loss(batch, step.heads, random)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimiser.step(step.name)
        model.after_step()
        sums[step.name] += loss.detach()
        done.batches[step.name] += 1
    done.losses = {name: float(total) / max(done.batches[name], 1) for name, total in sums.items()}
    done.seconds = time.perf_counter() - started
    done.waiting_share = waiting.seconds / done.seconds
    return done


def _counted(groups: Iterable[Batch], done: Pass) -> Iterable[Batch]:
    for group in groups:
        done.rows += len(group)
        yield group
