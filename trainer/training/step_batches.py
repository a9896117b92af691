"""Cuts a stream of rows into batches of one purpose each (LT4REC Algorithm 1, line 12 a)."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from torch import Tensor

from trainer.data.batch import Batch, concatenate

Rows = Callable[[Batch], Tensor]  # the rows of a batch that a purpose takes: bool [B], or indices that may repeat


def step_batches(groups: Iterable[Batch], takes: Mapping[str, Rows], size: int) -> Iterator[tuple[str, Batch]]:
    """(purpose, batch of `size` rows that it takes), in one pass over the rows; a purpose is mostly an optimiser step.

    A batch comes as soon as enough of its rows have passed, so purposes mix in proportion to their rows. What
    remains at the end comes as one smaller batch each: no row is lost.
    """
    waiting: dict[str, list[Batch]] = {name: [] for name in takes}
    for group in groups:
        for start in range(0, len(group), size):
            rows = group.rows(slice(start, start + size))
            for name, take in takes.items():
                waiting[name].append(rows.rows(take(rows)))
                while sum(map(len, waiting[name])) >= size:
                    ready = concatenate(waiting[name])
                    yield name, ready.rows(slice(0, size))
                    waiting[name] = [ready.rows(slice(size, None))]
    for name, left in waiting.items():
        if sum(map(len, left)):
            yield name, concatenate(left)
