"""The layers that a head's mask leaves of sNET, cut out exactly.

A neuron without outgoing weights does nothing. One without incoming weights is the constant relu(bias), which the next
layer's bias absorbs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from trainer.parts.sharing import SparseSharing


@dataclass(frozen=True)
class Layer:
    """weight [out, in], zero where masked; bias [out]."""

    weight: Tensor
    bias: Tensor


def layers_of(network: SparseSharing, head: str, group: int | None = None) -> list[Layer]:
    """sNET under the mask of a head, for the rows of a group; the head's output bias is in the last layer."""
    layers = [
        Layer(weight.detach(), bias.detach()) for weight, bias in network.net.layers(group, [network.mask_of(head)])
    ]
    return [*layers[:-1], Layer(layers[-1].weight, layers[-1].bias + network.output_bias[head].detach())]


def cut(layers: Sequence[Layer]) -> list[Layer]:
    """The same function of the same inputs with as few neurons as possible (ReLU between the layers)."""
    found = list(layers)
    for n in range(len(found) - 1):  # from the front: a constant may be all that feeds a later neuron
        layer, following = found[n], found[n + 1]
        constant = (layer.weight == 0).all(dim=1)
        taken_up = following.weight[:, constant] @ layer.bias[constant].relu()
        found[n] = Layer(layer.weight[~constant], layer.bias[~constant])
        found[n + 1] = Layer(following.weight[:, ~constant], following.bias + taken_up)
    for n in range(len(found) - 1, 0, -1):  # from the back: a useless neuron may be all that an earlier one feeds
        layer, before = found[n], found[n - 1]
        used = (layer.weight != 0).any(dim=0)
        found[n] = Layer(layer.weight[:, used], layer.bias)
        found[n - 1] = Layer(before.weight[used], before.bias[used])
    return found
