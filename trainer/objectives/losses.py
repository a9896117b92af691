"""Losses."""

import torch
import torch.nn.functional as F
from torch import Tensor


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Of sigmoid(logits) with labels (a share in [0, 1] is a soft label): mean over rows, weighted when told."""
    return F.binary_cross_entropy_with_logits(logits, labels, weight=weights)


def cross_entropy_of_log(log_probability: Tensor, labels: Tensor) -> Tensor:
    """The same row by row for a probability given by its logarithm, exact also near 0 and 1."""
    return -(labels * log_probability + (1 - labels) * log_complement(log_probability))


def log_complement(log_probability: Tensor) -> Tensor:
    """log(1 - p) of log(p) <= 0, by the branch that keeps the digits (Maechler 2012); finite at p = 1 too."""
    log_p = log_probability.clamp(max=-SMALLEST)
    near_one = log_p > -0.6931471805599453
    # each branch sees only values that suit it, so that the other's gradient is no NaN
    by_expm1 = torch.log(-torch.expm1(torch.where(near_one, log_p, -1.0)))
    by_log1p = torch.log1p(-torch.exp(torch.where(near_one, -1.0, log_p)))
    return torch.where(near_one, by_expm1, by_log1p)


SMALLEST = 1e-7  # 1 - p counts as at least this
