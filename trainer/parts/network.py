"""From the [sharing] section of a model file to the network above the embeddings."""

from collections.abc import Mapping, Sequence

from conf.settings.sharing import NetworkSharing
from trainer.parts.experts import Experts
from trainer.parts.head_network import HeadNetwork
from trainer.parts.mask import Mask
from trainer.parts.sharing import SharedBottom, SparseSharing


def build_network(
    sharing: NetworkSharing,
    inputs: int,
    outputs: int,
    heads: Sequence[str],
    seed: int,
    masks: Mapping[str, Mask] | None,
) -> HeadNetwork:
    """A network x [B, inputs] -> head -> [B, outputs]; without masks, sNET is dense for every head."""
    if sharing.kind == "single":
        return SharedBottom([inputs, *sharing.hidden, outputs], 0, heads, seed)
    if sharing.kind == "hard":
        widths = [inputs, *sharing.bottom_hidden, *sharing.tower_hidden, outputs]
        return SharedBottom(widths, len(sharing.bottom_hidden), heads, seed)
    if sharing.kind == "sparse_weight" or sharing.kind == "sparse_neuron":
        return SparseSharing([inputs, *sharing.hidden, outputs], heads, seed, masks)
    return Experts(
        [inputs, *sharing.expert_hidden, *sharing.tower_hidden, outputs],
        expert_layers=len(sharing.expert_hidden),
        heads=heads,
        shared=sharing.experts,
        own=sharing.task_experts if sharing.kind == "cgc" else 0,
        gate_per_head=sharing.kind != "moe",
        seed=seed,
    )
