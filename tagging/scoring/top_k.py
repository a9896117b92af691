"""The k largest values of each row, with ties broken the same way on every machine."""

import torch
from torch import Tensor


def top_k(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """float32 [U, T] -> values and columns [U, k], largest first; of equal values the lower column comes first."""
    k = min(k, values.shape[1])
    found, column = values.topk(min(k + 1, values.shape[1]), dim=1)
    tied = (found[:, 1:] == found[:, :-1]).any(dim=1)  # within the k or across the cut: topk leaves their order open
    column = column[:, :k].clone()
    column[tied] = _columns_with_ties(values[tied], k)
    return values.gather(1, column), column


def _columns_with_ties(values: Tensor, k: int) -> Tensor:
    """Columns [U, k]. Value and column are packed into one int64 that sorts as the pair does."""
    columns = values.shape[1]
    bits = (values + 0.0).view(torch.int32)  # + 0.0 turns -0.0 into 0.0
    ordered = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).to(torch.int64)
    keys = (ordered << 32) | torch.arange(columns - 1, -1, -1)
    return columns - 1 - (keys.topk(k, dim=1).values & 0xFFFFFFFF)
