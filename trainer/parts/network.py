"""From the axes of a model file to the network whose layers the heads share."""

from collections.abc import Mapping, Sequence

from torch import nn

from conf.settings.model_file import GATED, MASKED, Layers
from trainer.parts.experts import Experts
from trainer.parts.mask import Mask
from trainer.parts.sharing import SharedBottom, SparseSharing


def network(
    model: Layers, widths: Sequence[int], heads: Sequence[str], seed: int, masks: Mapping[str, Mask] | None
) -> nn.Module:
    """x [B, widths[0]], heads -> head -> [B, widths[-1]]. Without masks, sNET is dense for every head."""
    if model.sharing in MASKED:
        return SparseSharing(widths, heads, seed, masks)
    if model.sharing in GATED:
        a_gate_a_head = model.sharing != "moe"
        return Experts(widths, model.shared_layers, heads, model.experts, model.own_experts, a_gate_a_head, seed)
    return SharedBottom(widths, model.shared_layers, heads, seed)
