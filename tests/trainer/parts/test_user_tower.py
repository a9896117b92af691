"""Taggers: the set of user towers, each of which learns, is saved and scores as it is said to; masks over them."""

from itertools import product

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from conf.load import load_model, load_settings
from conf.settings.model_file import Model, TaggerModel
from tests.lakes.samples import publish_days, sizes
from tests.lakes.settings import START
from tests.trainer.models.test_combinations import masks_of, random_batch, steps_saves_and_loads
from trainer.daily.open import open_run
from trainer.daily.train import train
from trainer.models.build import build
from trainer.parts.cross import pairs_of_fields
from trainer.pruning import store as mask_store
from trainer.pruning.generation import generate

TASKS = ("interest", "intention")
NETWORKS = {
    "single": {},
    "hard": {"shared_layers": 1},
    "moe": {"shared_layers": 1, "experts": 2},
    "mmoe": {"shared_layers": 1, "experts": 2},
    "cgc": {"shared_layers": 1, "experts": 2, "own_experts": 1},
    "sparse_weight": {},
    "sparse_neuron": {},
    "assigned": {"assignment": {"interest": [1, 2], "intention": [2, 3]}},
}
KERNELS, INTERACTIONS, ATTENTIONS, GATES = (0, 3), ("none", "fm"), ("plain", "residual"), ("projected", "product")
ALL = list(product(NETWORKS, KERNELS, INTERACTIONS, ATTENTIONS, GATES))
OF_MVKE = ("single", "assigned", "sparse_weight")
ALLOWED = [
    (sharing, kernels, interaction, attention, gate)
    for sharing, kernels, interaction, attention, gate in ALL
    if (sharing in OF_MVKE if kernels else sharing != "assigned" and (attention, gate) == ("plain", "projected"))
]


def declared(**axes: object) -> TaggerModel:
    small = {"embedding_dim": 4, "hidden": [6], "attention_dim": 5, "output_dim": 5}
    return TypeAdapter(Model).validate_python({"family": "tagger", **small, **axes})


def model_of(sharing: str, kernels: int, interaction: str, attention: str, gate: str) -> TaggerModel:
    axes = {"virtual_kernels": kernels, "interaction": interaction, "attention": attention, "gate": gate}
    return declared(sharing=sharing, **axes, **NETWORKS[sharing])


def is_allowed(*combination: object) -> bool:
    try:
        model_of(*combination)
    except ValidationError:
        return False
    return True


def test_the_set_of_user_towers() -> None:
    assert [combination for combination in ALL if is_allowed(*combination)] == ALLOWED
    assert len(ALLOWED) == 7 * 2 + 3 * 2 * 2 * 2


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"sharing": "hard", "virtual_kernels": 3}, "virtual_kernels goes with sharing = 'single', 'assigned' or"),
        ({"sharing": "sparse_neuron", "virtual_kernels": 3}, "virtual_kernels goes with sharing"),
        (
            {"sharing": "assigned", "assignment": {"interest": [1], "intention": [1]}},
            "sharing = 'assigned' needs virtual_kernels",
        ),
        ({"sharing": "assigned", "virtual_kernels": 3}, "assignment. goes with sharing = 'assigned'"),
        ({"sharing": "single", "assignment": {"interest": [1]}, "virtual_kernels": 1}, "assignment. goes with sharing"),
        (
            {"sharing": "assigned", "virtual_kernels": 2, "assignment": {"interest": [1], "intention": [1, 3]}},
            "intention = .1, 3.: name each VKE once, from 1 to virtual_kernels = 2",
        ),
        ({"sharing": "hard", "gate": "product"}, "attention and gate go with virtual_kernels"),
        ({"sharing": "hard", "attention": "residual"}, "attention and gate go with virtual_kernels"),
        (
            {"sharing": "single", "virtual_kernels": 2, "gate": "product", "output_dim": 6},
            "attention_dim = 5 must be output_dim = 6",
        ),
        ({"sharing": "hard", "hidden": []}, "only a VKE does without hidden layers"),
        ({"sharing": "hard", "tasks": ["interest", "interest"]}, "name each once"),
        ({"sharing": "moe", "experts": 2}, "needs shared_layers"),
    ],
)
def test_other_user_towers_are_refused_by_name(axes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        declared(**axes)


@pytest.mark.parametrize("combination", ALLOWED, ids=lambda c: "-".join(map(str, c)))
def test_it_builds_steps_saves_loads_and_predicts_the_same_to_the_bit(combination, tmp_path) -> None:
    settings, model = load_settings("conf/demo.toml"), model_of(*combination)
    steps_saves_and_loads(model, settings, masks_of(model, settings), random_batch(settings), tmp_path)


@pytest.mark.parametrize("sharing", [name for name in NETWORKS if name != "assigned"])
def test_what_the_sharing_says_is_what_two_tasks_share(sharing: str) -> None:
    """A loss of one task moves the other's prediction unless they share nothing."""
    settings, model = load_settings("conf/demo.toml"), model_of(sharing, 0, "none", "plain", "projected")
    network, batch = build(model, settings, sizes(START)), random_batch(settings)
    network.logits(batch, ["interest"])["interest"].sum().backward()
    moved = {name for name, parameter in network.named_parameters() if parameter.grad is not None}
    network.zero_grad()
    network.logits(batch, ["intention"])["intention"].sum().backward()
    both = {name for name, parameter in network.named_parameters() if parameter.grad is not None} & moved
    assert bool(both) == (sharing != "single")


def test_pairs_of_fields_by_hand() -> None:
    """1 * 2 + 1 * 3 + 2 * 3 = 11 and 0 * 4 + 0 * 5 + 4 * 5 = 20."""
    fields = torch.tensor([[[1.0, 0.0], [2.0, 4.0], [3.0, 5.0]]])
    assert pairs_of_fields(fields).tolist() == [[11.0, 20.0]]


def test_a_third_task_is_a_kind_of_action_after_a_click(settings, monkeypatch) -> None:
    monkeypatch.setenv("SPARSETAG_LABELS__KINDS", '["like"]')
    model = declared(sharing="hard", shared_layers=1, tasks=["interest", "intention", "like"])
    assert model.heads == (*TASKS, "like")
    assert model.kinds == ("like",)
    network = build(model, settings, sizes(START))
    assert set(network.logits(random_batch(settings), ["like"])) == {"like"}


@pytest.mark.parametrize("name", ["two_tower_sparse", "mvke_sparse"])
def test_masks_of_a_user_tower_are_found_and_what_they_leave_out_stays_as_it_was(settings, name: str) -> None:
    publish_days(settings, 3, rows=400)
    model = load_model(name)
    assert isinstance(model, TaggerModel)
    generate(settings, model, name)
    masks, manifest = mask_store.read(mask_store.folder(settings, model), hint="")
    assert set(masks) == set(TASKS)
    assert set(manifest["best_round"]) == set(TASKS)
    assert any(not torch.equal(masks["interest"].layers[n], masks["intention"].layers[n]) for n in manifest["overlap"])
    run = open_run(settings, "tagger", name)
    initial = {n: w.detach().clone() for n, w in run.build(sizes(START)).maskable_weights().items()}
    train(run, START)
    trained = run.restored(START).maskable_weights()
    for layer, weight in trained.items():
        used = masks["interest"].layers[layer] | masks["intention"].layers[layer]
        assert torch.equal(weight[~used], initial[layer][~used])
        assert not torch.equal(weight[used], initial[layer][used])
