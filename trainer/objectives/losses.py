"""Cross entropy, of logits and of log probabilities."""

import torch
import torch.nn.functional as F
from torch import Tensor

SMALLEST = 1e-7  # log(1 - p) treats 1 - p as at least this


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean over rows, each times its weight, of the cross entropy of sigmoid(logits); labels in [0, 1] may be soft."""
    return F.binary_cross_entropy_with_logits(logits, labels, weight=weights)


def cross_entropy_of_log(log_probability: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy row by row of a probability given by its logarithm, exact near 0 and 1."""
    return -(labels * log_probability + (1 - labels) * log_complement(log_probability))


def log_complement(log_probability: Tensor) -> Tensor:
    """log(1 - p) of log(p) <= 0, by the branch that keeps the digits (Maechler 2012); finite at p = 1."""
    log_p = log_probability.clamp(max=-SMALLEST)
    near_one = log_p > -0.6931471805599453
    # each branch only sees values that suit it, so that the gradient of the other is not NaN
    by_expm1 = torch.log(-torch.expm1(torch.where(near_one, log_p, -1.0)))
    by_log1p = torch.log1p(-torch.exp(torch.where(near_one, -1.0, log_p)))
    return torch.where(near_one, by_expm1, by_log1p)
