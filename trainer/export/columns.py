"""Layers over columns: a tile of a batch, transposed, [in, rows] -> [out, rows]. For inference on the CPU.

A sparse layer is, for each neuron, a weighted sum of some rows of its input: what torch's embedding_bag computes. Its
kernel (FBGEMM) keeps the sums of a tile in registers and touches nothing that a zero weight would multiply. It was 2 to
3 times as fast as torch's product of a sparse matrix (MKL, CSR), which saves next to nothing at 80 %.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Step = Callable[[Tensor], Tensor]


def transposed(matrix: Tensor) -> Tensor:
    """[n, m] contiguous -> [m, n] contiguous, 3 times as fast as matrix.t().contiguous().

    To shuffle the channels of one pixel in n groups is to transpose them; that kernel (again FBGEMM's) is vectorised,
    the copy of a transposed view is not. It runs on the layout channels last only, hence the strides.
    """
    n, m = matrix.shape
    if matrix.numel() == 0:
        return matrix.new_empty(m, n)
    pixel = matrix.as_strided((1, n * m, 1, 1), (n * m, 1, n * m, n * m))
    return torch.native_channel_shuffle(pixel, n).reshape(m, n)


def dense(weight: Tensor, bias: Tensor) -> Step:
    """weight [out, in], bias [out]"""
    column = bias.unsqueeze(1)
    return lambda columns: torch.addmm(column, weight, columns)


def sparse(weight: Tensor, bias: Tensor) -> Step:
    """The same by the weights that are not zero; equal to rounding."""
    row, column = weight.nonzero(as_tuple=True)
    values, places, bias = weight[row, column], column.int(), bias.unsqueeze(1)
    ends = F.pad((weight != 0).sum(dim=1).cumsum(0), (1, 0)).int()

    def step(columns: Tensor) -> Tensor:
        sums = F.embedding_bag(places, columns, ends, mode="sum", per_sample_weights=values, include_last_offset=True)
        return sums.add_(bias)

    return step
