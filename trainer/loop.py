"""One pass over one day."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch

from trainer.batch import Batch
from trainer.objective import Task
from trainer.optimiser import TaskOptimiser
from trainer.reader import Waiting
from trainer.task_batches import task_batches
from trainer.task_model import TaskModel


@dataclass
class Pass:
    """What one pass over the rows came to: mean loss and batches by task, seconds, share of them spent waiting."""

    losses: dict[str, float] = field(default_factory=dict)
    batches: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    seconds: float = 0.0
    waiting_share: float = 0.0


def train_pass(
    model: TaskModel,
    optimiser: TaskOptimiser,
    groups: Iterable[Batch],
    tasks: Sequence[Task],
    batch_size: int,
    device: torch.device,
    waiting: Waiting,
) -> Pass:
    """Trains on task batches: each step is one task's, under that task's mask (Algorithm 1, lines 12 to 17)."""
    done = Pass(batches={task.name: 0 for task in tasks})
    sums = {task.name: torch.zeros((), device=device) for task in tasks}
    started = time.perf_counter()
    model.train()
    for task, batch in task_batches(_counted(groups, done), tasks, batch_size):
        batch = batch.to(device)
        optimiser.zero_grad()
        loss = task.loss(model.logits(batch, task.name), batch)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimiser.step(task.name)
        sums[task.name] += loss.detach()
        done.batches[task.name] += 1
    done.losses = {name: float(total) / max(done.batches[name], 1) for name, total in sums.items()}
    done.seconds = time.perf_counter() - started
    done.waiting_share = waiting.seconds / done.seconds
    return done


def _counted(groups: Iterable[Batch], done: Pass) -> Iterable[Batch]:
    for group in groups:
        done.rows += len(group)
        yield group
