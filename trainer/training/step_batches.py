"""Cuts a stream of rows into batches of one step each (LT4REC Algorithm 1, line 12 a)."""

from collections.abc import Iterable, Iterator, Sequence

from trainer.data.batch import Batch, concatenate
from trainer.objectives.objective import Step


def step_batches(groups: Iterable[Batch], steps: Sequence[Step], size: int) -> Iterator[tuple[Step, Batch]]:
    """Batches of `size` rows, each with rows that its step learns from, in one pass over the rows.

    A step's batch comes as soon as enough of its rows have passed, so steps mix in proportion to their rows. What
    remains at the end comes as one smaller batch per step: no row is lost.
    """
    waiting: dict[str, list[Batch]] = {step.name: [] for step in steps}
    for group in groups:
        for start in range(0, len(group), size):
            rows = group.rows(slice(start, start + size))
            for step in steps:
                waiting[step.name].append(rows.rows(step.rows(rows)))
                while sum(map(len, waiting[step.name])) >= size:
                    ready = concatenate(waiting[step.name])
                    yield step, ready.rows(slice(0, size))
                    waiting[step.name] = [ready.rows(slice(size, None))]
    for step in steps:
        if sum(map(len, waiting[step.name])):
            yield step, concatenate(waiting[step.name])
