"""impression -> click -> action -> conversion as conditional probabilities (ESM2 section 3.2).

Everything is computed in logarithms, so that a product of small probabilities keeps its digits and stays in [0, 1].
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

# The heads of ESM2: y1 = p(click), y2 = p(action | click), y3 = p(conversion | action), y4 = p(conversion | click and
# no action)
Y1, Y2, Y3, Y4 = "ctr", "action", "cvr_after_action", "cvr_without_action"


def independent(logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """log p of every head, and of CTCVR = CTR * CVR where both heads are present."""
    found = {name: logsigmoid(logit) for name, logit in logits.items()}
    if {"ctr", "cvr"} <= set(found):
        found["ctcvr"] = found["ctr"] + found["cvr"]
    return found


def esm2(logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """ESM2 eq. 1 to 4: log p of ctr = y1, ctavr = y1 y2, cvr = y2 y3 + (1 - y2) y4, ctcvr = ctr * cvr."""
    ctr, action = logsigmoid(logits[Y1]), logsigmoid(logits[Y2])
    no_action = logsigmoid(-logits[Y2])
    cvr = torch.logaddexp(action + logsigmoid(logits[Y3]), no_action + logsigmoid(logits[Y4]))
    return {"ctr": ctr, "ctavr": ctr + action, "cvr": cvr, "ctcvr": ctr + cvr}
