"""What every network above the embeddings offers."""

import pytest
import torch
from pydantic import TypeAdapter

from conf.settings.sharing import NetworkSharing
from tests.trainer.models.combination import NETWORKS
from trainer.parts.network import build_network

SHARING: TypeAdapter[NetworkSharing] = TypeAdapter(NetworkSharing)
HEADS = ("ctr", "cvr")
MASKED = ("sparse_weight", "sparse_neuron")


@pytest.mark.parametrize("kind", NETWORKS)
def test_it_gives_each_head_that_is_asked_for_an_output(kind: str) -> None:
    network = build_network(SHARING.validate_python({"kind": kind, **NETWORKS[kind]}), 5, 3, HEADS, 0, None)
    found = network(torch.ones(7, 5), ["cvr"])
    assert {head: tuple(output.shape) for head, output in found.items()} == {"cvr": (7, 3)}


@pytest.mark.parametrize("kind", NETWORKS)
def test_only_networks_under_masks_have_maskable_weights(kind: str) -> None:
    network = build_network(SHARING.validate_python({"kind": kind, **NETWORKS[kind]}), 5, 3, HEADS, 0, None)
    shapes = {layer: tuple(weight.shape) for layer, weight in network.maskable_weights().items()}
    assert shapes == ({"layer0": (6, 5), "layer1": (4, 6), "layer2": (3, 4)} if kind in MASKED else {})
    assert all(any(weight is p for p in network.parameters()) for weight in network.maskable_weights().values())
