import pytest
import torch

from conf.errors import InputError
from trainer.parts.mask import Mask, identity
from trainer.pruning.overlap import overlap
from trainer.pruning.prune import prune_neurons, prune_weights
from trainer.pruning.store import check_architecture


def bools(*rows):
    return torch.tensor(rows, dtype=torch.bool)


def test_prune_masks_the_smallest_weights_over_all_layers_together():
    weights = {"a": torch.tensor([[0.1, -5.0], [0.3, -0.2]]), "b": torch.tensor([[3.0, -4.0, 0.05, 2.0]])}
    first = prune_weights(Mask.ones(weights), weights, 0.5)
    # |w| sorted: .05 .1 .2 .3 | 2 3 4 5
    assert torch.equal(first.layers["a"], bools([0, 1], [0, 0]))
    assert torch.equal(first.layers["b"], bools([1, 1, 0, 1]))


def test_prune_takes_its_share_of_what_is_left_and_never_revives_a_weight():
    weights = {"a": torch.tensor([[9.0, 0.1, 1.0, 2.0, 3.0, 4.0]])}
    outer = Mask({"a": bools([0, 0, 1, 1, 1, 1])})
    inner = prune_weights(outer, weights, 0.5)
    assert torch.equal(inner.layers["a"], bools([0, 0, 0, 0, 1, 1]))
    assert inner.nested_in(outer) and not outer.nested_in(inner)


def test_ties_and_zeros_are_pruned_by_count_all_the_same():
    weights = {"a": torch.zeros(10, 10)}
    assert prune_weights(Mask.ones(weights), weights, 0.3).kept == 70


@pytest.mark.parametrize(("fraction", "rounds"), [(0.3, 5), (0.2, 7), (0.5, 3)])
def test_share_pruned_after_n_rounds_is_one_minus_the_power(fraction, rounds):
    weights = {"a": torch.randn(100, 70, generator=torch.Generator().manual_seed(1)), "b": torch.randn(1, 100)}
    mask = Mask.ones(weights)
    for number in range(1, rounds + 1):
        mask = prune_weights(mask, weights, fraction)
        assert abs(mask.pruned_share - (1 - (1 - fraction) ** number)) <= rounds / mask.size


def test_overlap_by_hand():
    ctr, cvr = bools([1, 0, 0, 0, 0, 1, 1, 0]), bools([0, 1, 1, 1, 1, 1, 1, 0])
    masks = {"ctr": Mask({"a": ctr}), "cvr": Mask({"a": cvr})}
    assert overlap(masks) == {"a": {"ctr only": 0.125, "cvr only": 0.5, "shared": 0.25, "dead": 0.125}}


def test_identity_tells_tasks_apart():
    one, two = Mask({"a": bools([1, 0])}), Mask({"a": bools([0, 1])})
    assert identity({"ctr": one, "cvr": two}) != identity({"ctr": two, "cvr": one})
    assert identity({"ctr": one}) != identity({"cvr": one})
    assert identity({"ctr": one, "cvr": two}) == identity({"cvr": two, "ctr": one})


def test_mask_of_another_architecture_is_refused_with_both_shapes():
    mask = Mask({"layer0": bools([1, 0])})
    with pytest.raises(InputError, match=r"layer0.*\[1, 2\].*\[4, 2\]"):
        check_architecture({"ctr": mask}, {"ctr"}, {"layer0": [4, 2]}, "masks/ranker/v1")


def test_mask_of_another_task_is_refused():
    mask = Mask({"layer0": bools([1, 0])})
    with pytest.raises(InputError, match="like"):
        check_architecture({"like": mask}, {"ctr"}, {"layer0": [1, 2]}, "masks/ranker/v1")


def test_a_mask_holds_nothing_but_bools():
    with pytest.raises(TypeError, match="layer0"):
        Mask({"layer0": torch.ones(2)})


NEURONS = {  # three neurons over two inputs, two over three, one output
    "layer0": torch.tensor([[3.0, 4.0], [1.0, 0.5], [0.0, 2.0]]),
    "layer1": torch.tensor([[0.1, 9.0, 0.1], [0.2, 0.0, 0.3]]),
    "layer2": torch.tensor([[5.0, 6.0]]),
}


def test_whole_neurons_go_by_the_norm_of_their_incoming_weights():
    # norms 5, 1.1, 2: the second of layer0 goes; 9.001, 0.36: the second of layer1; each layer loses its own share
    pruned = prune_neurons(Mask.ones(NEURONS), NEURONS, 0.4)
    assert torch.equal(pruned.layers["layer0"], bools([1, 1], [0, 0], [1, 1]))
    assert torch.equal(pruned.layers["layer1"], bools([1, 0, 1], [0, 0, 0]))
    assert torch.equal(pruned.layers["layer2"], bools([1, 0]))


def test_norms_of_the_next_round_count_only_what_is_left():
    first = Mask({
        "layer0": bools([1, 1], [0, 0], [1, 1]), "layer1": bools([1, 0, 1], [1, 0, 1]), "layer2": bools([1, 1])
    })  # fmt: skip
    # of layer1 0.14 and 0.36 are left without the 9: now the first goes; of layer0 the third
    second = prune_neurons(first, NEURONS, 0.5)
    assert torch.equal(second.layers["layer0"], bools([1, 1], [0, 0], [0, 0]))
    assert torch.equal(second.layers["layer1"], bools([0, 0, 0], [1, 0, 0]))
    assert torch.equal(second.layers["layer2"], bools([0, 1]))
    assert second.nested_in(first)


def test_at_least_one_neuron_of_a_layer_stays():
    mask = Mask.ones(NEURONS)
    for _ in range(4):
        narrower = prune_neurons(mask, NEURONS, 0.9)
        assert narrower.nested_in(mask)
        mask = narrower
    assert torch.equal(mask.layers["layer0"], bools([1, 1], [0, 0], [0, 0]))
    assert torch.equal(mask.layers["layer1"], bools([1, 0, 0], [0, 0, 0]))
    assert torch.equal(mask.layers["layer2"], bools([1, 0]))
