"""The calibration curve: from a model's logit to a probability.

A cosine saturates at +-1 while the odds go on growing, so the log odds are a cubic of the logit (Platt's logistic fit
with one more term; DECISIONS.md has the comparison). tagging/scoring/calibration_fit.py fits it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Calibration:
    """score = sigmoid(intercept + slope * z + cubic * z^3) for a logit z. The defaults are the raw sigmoid.

    With slope and cubic >= 0 a larger logit never scores less.
    """

    intercept: float = 0.0
    slope: float = 1.0
    cubic: float = 0.0

    def __call__(self, logits: Tensor) -> Tensor:
        """float32, any shape.

        Computed in double precision: the last bit of a float32 sigmoid depends on the number's position in its tensor,
        and a user's score for a tag must be the same in every table.
        """
        exact = logits.double()
        return torch.sigmoid(self.intercept + exact * (self.slope + self.cubic * exact * exact)).float()


RAW = Calibration()
