"""Cuts a stream of rows into batches of one task each (LT4REC Algorithm 1, line 12 a)."""

from collections.abc import Iterable, Iterator, Sequence

from trainer.batch import Batch, concatenate
from trainer.objective import Task


def task_batches(groups: Iterable[Batch], tasks: Sequence[Task], size: int) -> Iterator[tuple[Task, Batch]]:
    """Batches of `size` rows, each with the rows that its task learns from, in one pass over the rows.

    A task's batch comes as soon as enough of its rows went by, so the tasks mix in proportion to their rows. What is
    left at the end comes as one smaller batch a task: no row is lost.
    """
    waiting: dict[str, list[Batch]] = {task.name: [] for task in tasks}
    for group in groups:
        for start in range(0, len(group), size):
            rows = group.rows(slice(start, start + size))
            for task in tasks:
                waiting[task.name].append(rows.rows(task.rows(rows)))
                if sum(map(len, waiting[task.name])) >= size:
                    ready = concatenate(waiting[task.name])
                    yield task, ready.rows(slice(0, size))
                    waiting[task.name] = [ready.rows(slice(size, None))]
    for task in tasks:
        if sum(map(len, waiting[task.name])):
            yield task, concatenate(waiting[task.name])
