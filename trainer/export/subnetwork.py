"""The sub-networks that the heads' masks leave of sNET, in the place of sNET itself."""

from collections.abc import Sequence

from torch import Tensor

from trainer.export.forms import Subnetwork, fastest
from trainer.export.layers import cut, layers_of
from trainer.parts.groups import Groups
from trainer.parts.head_network import HeadNetwork
from trainer.parts.sharing import SparseSharing


class ExportedSharing(HeadNetwork):
    """The sub-networks of all heads, to replace SparseSharing: `ranker.network = export(ranker.network, x)`.

    heads: head -> group of rows -> sub-network; None: rows of no group that has one.
    """

    def __init__(self, heads: dict[str, dict[int | None, Subnetwork]]) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, x: Tensor, heads: Sequence[str], groups: Groups | None = None) -> dict[str, Tensor]:
        if groups is None:
            return {head: self.heads[head][None](x) for head in heads}
        return {head: groups.join([self._of(head, group)(rows) for group, rows in groups.split(x)]) for head in heads}

    def _of(self, head: str, group: int) -> Subnetwork:
        return self.heads[head].get(group) or self.heads[head][None]


def export(network: SparseSharing, x: Tensor) -> ExportedSharing:
    """Every head's sub-network, each in its fastest form for inputs like x [B, width]."""
    groups = [None, *network.net.groups]
    return ExportedSharing(
        {
            head: {group: fastest(cut(layers_of(network, head, group)), x) for group in groups}
            for head in network.output_bias
        }
    )


def stored_bytes(network: SparseSharing) -> tuple[int, int]:
    """Bytes of sNET with one bit per weight and head, and of a network for each head; float32, uncompressed."""
    heads = len(network.output_bias)
    weights = sum(weight.numel() for weight in network.net.weights.values())
    biases = sum(bias.numel() for bias in network.net.biases.values())
    return 4 * (weights + biases + heads) + heads * -(-weights // 8), heads * 4 * (weights + biases)
