"""Taggers: a model file can say exactly these user towers, and each of them works; masks over them."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from conf.load import load_model, load_settings
from conf.settings.model_file import TaggerModel
from tests.lakes.samples import publish_days, sizes
from tests.lakes.settings import START
from tests.trainer.models.combination import (
    MODEL_FILE,
    NETWORKS,
    is_allowed,
    masks_of,
    random_batch,
    steps_saves_and_loads,
)
from tests.trainer.models.test_combinations import EXAMPLES, KEYS, subsets
from trainer.daily.open import open_run
from trainer.daily.train import train
from trainer.models.build import build
from trainer.parts.cross import pairs_of_fields
from trainer.pruning import store as mask_store
from trainer.pruning.generation import generate

TASKS = ("interest", "intention")
KERNELS = {"virtual_kernels": 3, "attention_dim": 5, "hidden": [6]}
EXPERTS: dict[str, dict[str, Any]] = {
    "mvke": {**KERNELS, "assignment": {"interest": [1, 2], "intention": [2, 3]}},
    "mvke_single": KERNELS,
    "mvke_sparse": KERNELS,
}
INTERACTIONS, ATTENTIONS, GATES = ("none", "fm"), ("plain", "residual"), ("projected", "product")
ALL = list(product((*NETWORKS, *EXPERTS), INTERACTIONS, (None, *ATTENTIONS), (None, *GATES)))
# attention and gate belong to virtual kernels
ALLOWED = [c for c in ALL if (c[2] and c[3] if c[0] in EXPERTS else not (c[2] or c[3]))]


def declared(sharing: dict[str, Any], **axes: Any) -> TaggerModel:
    content = {"family": "tagger", "embedding": {"dim": 4}, "output_dim": 5, "sharing": sharing, **axes}
    return MODEL_FILE.validate_python(content)


def model_of(sharing: str, interaction: str, attention: str | None, gate: str | None) -> TaggerModel:
    chosen = {key: value for key, value in (("attention", attention), ("gate", gate)) if value}
    return declared({"kind": sharing, **(NETWORKS | EXPERTS)[sharing], **chosen}, interaction=interaction)


def test_the_set_of_user_towers() -> None:
    explicit = [c for c in ALL if bool(c[2]) == bool(c[3])]
    assert [c for c in explicit if is_allowed(model_of, *c) and (c[2] or c[0] in NETWORKS)] == ALLOWED
    assert len(ALLOWED) == 7 * 2 + 3 * 2 * 2 * 2


VKE_KEYS = {"hidden", "attention_dim", "attention", "gate"}
TOWER_EXAMPLES: dict[str, Any] = EXAMPLES | {
    "virtual_kernels": 3, "attention_dim": 5, "attention": "residual", "gate": "product",
    "assignment": {"interest": [1], "intention": [1, 3]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "needed", "optional"),
    [
        *((kind, *keys) for kind, keys in KEYS.items()),
        ("mvke", {"virtual_kernels", "assignment"}, VKE_KEYS),
        ("mvke_single", {"virtual_kernels"}, VKE_KEYS),
        ("mvke_sparse", {"virtual_kernels"}, VKE_KEYS | {"masks"}),
    ],
)
def test_the_keys_of_sharing(kind: str, needed: set[str], optional: set[str]) -> None:
    def sharing_with(keys: frozenset[str]) -> TaggerModel:
        return declared({"kind": kind, **{key: TOWER_EXAMPLES[key] for key in keys}})

    # a product needs as many numbers of attention as of output, which is not the default here
    sets = [keys for keys in subsets(TOWER_EXAMPLES) if "gate" not in keys or "attention_dim" in keys]
    assert [k for k in sets if is_allowed(sharing_with, k)] == [k for k in sets if needed <= k <= needed | optional]


@pytest.mark.parametrize(
    ("sharing", "axes", "message"),
    [
        ("mvke", {"assignment": {"interest": [1]}}, r"must name each of interest, intention, and nothing else"),
        ("mvke", {"assignment": {"interest": [1], "intention": [1], "like": [2]}}, "and nothing else"),
        (
            "mvke",
            {"virtual_kernels": 2, "assignment": {"interest": [1], "intention": [1, 3]}},
            r"intention = \[1, 3\]: name each expert once, from 1 to virtual_kernels = 2",
        ),
        ("mvke", {"assignment": {"interest": [1, 1], "intention": [1]}}, r"interest = \[1, 1\]: name each expert once"),
        ("mvke", {"assignment": {"interest": [], "intention": [1]}}, "List should have at least 1 item"),
        ("mvke", {"assignment": {"interest": [0], "intention": [1]}}, "Input should be greater than 0"),
        ("mvke_single", {"gate": "product", "attention_dim": 6}, "set attention_dim and output_dim = 5 to the same"),
        ("mvke_single", {"virtual_kernels": 0}, "Input should be greater than or equal to 1"),
    ],
)
def test_other_experts_are_refused_by_name(sharing: str, axes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        declared({"kind": sharing, **EXPERTS[sharing], **axes})


def test_tasks_are_named_once() -> None:
    with pytest.raises(ValidationError, match="name each once"):
        declared({"kind": "hard", "tower_hidden": [6]}, tasks=["interest", "interest"])


@pytest.mark.parametrize("combination", ALLOWED, ids=lambda c: "-".join(filter(None, c)))
def test_it_builds_steps_saves_loads_and_predicts_the_same_to_the_bit(combination, tmp_path) -> None:
    settings, model = load_settings("conf/demo.toml"), model_of(*combination)
    steps_saves_and_loads(model, settings, masks_of(model, settings), random_batch(settings), tmp_path)


@pytest.mark.parametrize("sharing", NETWORKS)
def test_two_tasks_share_parameters_unless_the_sharing_is_single(sharing: str) -> None:
    """Parameters with a gradient from the losses of both tasks."""
    settings, model = load_settings("conf/demo.toml"), model_of(sharing, "none", None, None)
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
    model = declared({"kind": "hard", "bottom_hidden": [6]}, tasks=["interest", "intention", "like"])
    assert model.heads == (*TASKS, "like")
    assert model.action_kinds == ("like",)
    network = build(model, settings, sizes(START))
    assert set(network.logits(random_batch(settings), ["like"])) == {"like"}


@pytest.mark.parametrize("name", ["two_tower_sparse", "mvke_sparse"])
def test_weights_that_the_masks_of_a_user_tower_exclude_never_move(settings, name: str) -> None:
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
    trained = run.load_model(START).maskable_weights()
    for layer, weight in trained.items():
        used = masks["interest"].layers[layer] | masks["intention"].layers[layer]
        assert torch.equal(weight[~used], initial[layer][~used])
        assert not torch.equal(weight[used], initial[layer][used])


@pytest.mark.parametrize("sharing", ["single", "hard", "sparse_weight", "sparse_neuron"])
def test_a_tower_can_differ_between_clusters_of_users(sharing: str, tmp_path: Path) -> None:
    settings = load_settings("conf/demo.toml")
    clusters = {"kind": "adaptdhm", "clusters": 3, "route_by": ["age", "region"]}
    model = declared({"kind": sharing, **NETWORKS[sharing]}, domain=clusters)
    steps_saves_and_loads(model, settings, masks_of(model, settings), random_batch(settings), tmp_path)


def test_a_users_vectors_come_from_the_branch_of_its_cluster() -> None:
    settings = load_settings("conf/demo.toml")
    model = declared({"kind": "hard", "tower_hidden": [6]}, domain={"kind": "adaptdhm", "clusters": 3})
    network, batch = build(model, settings, sizes(START)), random_batch(settings)
    network.observe(batch, 1.0)
    tower = network.towers["shared"].user_tower
    fields = network.towers["shared"].user_embedding(batch.ids[:, network.user_columns])
    found = tower.routing.clusters(fields)
    assert len(found.unique()) > 1
    before = network.logits(batch, ["interest"])["interest"]
    branch = str(found[0].item())
    for parameter in tower.layers.towers["interest"].of_groups[branch].parameters():
        torch.nn.init.constant_(parameter, 2.0)
    after = network.logits(batch, ["interest"])["interest"]
    assert torch.equal(before != after, found == found[0])
