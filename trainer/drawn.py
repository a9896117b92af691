"""Pairs that were not shown: a row's user and a tag drawn from all known ones, learnt as rows that nothing came of."""

from collections.abc import Iterable, Iterator, Sequence

import torch

from etl.contract import FIRST_VALUE, LABELS, PADDING
from trainer.batch import Batch, concatenate

ROWS = 8192  # mixed with what is drawn for them at once, so that memory does not grow with a row group


def with_drawn(
    groups: Iterable[Batch], columns: Sequence[int], tags: int, per_row: float, random: torch.Generator
) -> Iterator[Batch]:
    """The rows and for each, on average, `per_row` copies with one drawn tag and all labels 0 (MVKE section 5.1).

    Mixed, block by block. columns: those of the tags in Batch.ids. tags: ids of tags, the reserved ones counted; each
    known tag is drawn as often as any other. A copy's labels are defined where the row's are: what follows a click is
    learnt from copies of clicked rows.
    """
    for group in groups:
        for start in range(0, len(group), ROWS):
            rows = group.rows(slice(start, start + ROWS))
            mixed = concatenate([rows, _copies(rows, columns, tags, per_row, random)])
            yield mixed.rows(torch.randperm(len(mixed), generator=random))


def _copies(rows: Batch, columns: Sequence[int], tags: int, per_row: float, random: torch.Generator) -> Batch:
    whole, rest = divmod(per_row, 1)
    times = int(whole) + (torch.rand(len(rows), generator=random) < rest).long()
    known = tags > FIRST_VALUE  # the first day of an empty lake knows none
    copies = rows.rows(torch.arange(len(rows)).repeat_interleave(times * known))
    alone = torch.full((len(copies), len(columns)), PADDING, dtype=copies.ids.dtype)
    if known:
        alone[:, 0] = torch.randint(FIRST_VALUE, tags, (len(copies),), generator=random)
    ids = copies.ids.clone()
    ids[:, list(columns)] = alone
    whether_defined = set(LABELS.values())
    labels = {name: v if name in whether_defined else torch.zeros_like(v) for name, v in copies.labels.items()}
    return Batch(ids, labels, {}, copies.values)
