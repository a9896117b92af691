"""Feature ids to vectors: one table for all features, with a segment of rows for each."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from conf.settings.run_file import Feature
from etl.contract import PADDING, UNSEEN
from trainer.seeding import generator

INITIAL_STD = 0.01


class Embedding(nn.Module):
    """Ids [B, C] (columns of `features` in order) to vectors [B, F, dim].

    A multi-valued feature is the mean of its values. An id beyond the table's vocabulary counts as unseen. The padding
    row is and stays zero.
    """

    first_rows: Tensor
    sizes_of_columns: Tensor

    def __init__(self, features: Sequence[Feature], sizes: Mapping[str, int], dim: int, seed: int, name: str) -> None:
        super().__init__()
        self.sizes = {feature.name: sizes[feature.name] for feature in features}
        lengths = [feature.length for feature in features]
        starts = torch.tensor([0, *self.sizes.values()]).cumsum(0)
        self.segments = dict(zip(self.sizes, zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True), strict=True))
        self.register_buffer("first_rows", starts[:-1].repeat_interleave(torch.tensor(lengths)), persistent=False)
        column_sizes = torch.tensor(list(self.sizes.values())).repeat_interleave(torch.tensor(lengths))
        self.register_buffer("sizes_of_columns", column_sizes, persistent=False)
        self._lengths = lengths
        self.width = len(lengths) * dim
        blocks = []
        for feature in features:
            block = torch.randn(sizes[feature.name], dim, generator=generator(seed, name, feature.name)) * INITIAL_STD
            block[PADDING] = 0
            blocks.append(block)
        self.table = nn.Parameter(torch.cat(blocks))

    def forward(self, ids: Tensor) -> Tensor:
        known = torch.where(ids < self.sizes_of_columns, ids, UNSEEN)
        vectors = F.embedding(known + self.first_rows, self.table)
        if max(self._lengths) == 1:
            return vectors
        pooled = []
        start = 0
        for length in self._lengths:
            part = vectors[:, start : start + length]
            if length > 1:
                present = (ids[:, start : start + length] != PADDING).unsqueeze(-1).to(vectors.dtype)
                part = (part * present).sum(1, keepdim=True) / present.sum(1, keepdim=True).clamp(min=1)
            pooled.append(part)
            start += length
        return torch.cat(pooled, 1)


def copy_known_rows(
    new: Tensor, new_segments: Mapping[str, tuple[int, int]], old: Tensor, old_sizes: Mapping[str, int]
) -> None:
    """Copies yesterday's rows (weights or optimiser state) into today's larger table, segment by segment.

    old_sizes: feature -> rows, in the order in which the old table holds its segments.
    """
    start = 0
    for name, size in old_sizes.items():
        first, end = new_segments[name]
        if size > end - first:
            raise ValueError(f"vocabulary of {name} shrank from {size} to {end - first}")
        new[first : first + size] = old[start : start + size]
        start += size
