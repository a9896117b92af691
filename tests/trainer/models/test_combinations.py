"""Rankers: a model file can say exactly these combinations of axes, and each of them works."""

from collections.abc import Mapping
from itertools import chain, combinations, product
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from conf.settings.model_file import RankerModel
from conf.settings.run_file import Settings
from tests.trainer.models.combination import (
    MODEL_FILE,
    NETWORKS,
    is_allowed,
    masks_of,
    steps_saves_and_loads,
)
from trainer.data.batch import Batch

OBJECTIVES = ("ctr_cvr", "esmm", "esm2")
CONVERSIONS = ("share", "yes_no")
EXCLUSIVE = ("none", "one head")
NUMERIC = ("bucketed", "tanh")
ALL = list(product(NETWORKS, OBJECTIVES, CONVERSIONS, EXCLUSIVE, NUMERIC))
# a network of its own for each head shares no embedding, so none of them can have an exclusive one
ALLOWED = [combination for combination in ALL if combination[0] != "single" or combination[3] == "none"]


def declared(sharing: Mapping[str, Any], **axes: Any) -> RankerModel:
    content = {"family": "ranker", "kind": "network", "embedding": {"dim": 4}, "sharing": dict(sharing), **axes}
    return MODEL_FILE.validate_python(content)


def model_of(sharing: str, objective: str, conversion: str, exclusive: str, numeric: str) -> RankerModel:
    embedding: dict[str, Any] = {"dim": 4, "numeric": numeric}
    if exclusive == "one head":
        last = "cvr_without_action" if objective == "esm2" else "cvr"
        embedding["exclusive"] = {"dim": 3, "heads": [last]}
    return declared(
        {"kind": sharing, **NETWORKS[sharing]},
        embedding=embedding,
        objective={"kind": objective, "conversion": conversion},
        ema_decay=0.5,
    )


def test_the_set_of_combinations() -> None:
    assert len(ALL) == 7 * 3 * 2 * 2 * 2
    assert [combination for combination in ALL if is_allowed(model_of, *combination)] == ALLOWED
    assert len(ALLOWED) == 156


@pytest.mark.parametrize("combination", [c for c in ALL if c not in ALLOWED], ids="-".join)
def test_other_combinations_are_refused_with_what_to_change(combination: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match=r"'single' shares no embedding: remove \[embedding.exclusive\]"):
        model_of(*combination)


@pytest.mark.parametrize("combination", ALLOWED, ids="-".join)
def test_it_builds_steps_saves_loads_and_predicts_the_same_to_the_bit(
    combination: tuple[str, ...], demo: Settings, batch: Batch, tmp_path: Path
) -> None:
    model = model_of(*combination)
    steps_saves_and_loads(model, demo, masks_of(model, demo), batch, tmp_path)


def subsets(keys: Mapping[str, Any]) -> list[frozenset[str]]:
    return [frozenset(s) for s in chain.from_iterable(combinations(keys, n) for n in range(len(keys) + 1))]


EXAMPLES: dict[str, Any] = {
    "hidden": [6], "bottom_hidden": [6], "tower_hidden": [4], "experts": 2, "expert_hidden": [6], "task_experts": 1,
    "masks": "m",
}  # fmt: skip
# kind of sharing -> the keys that it needs, and those that it may have
KEYS: dict[str, tuple[set[str], set[str]]] = {
    "single": (set(), {"hidden"}),
    "moe": ({"experts", "expert_hidden"}, {"tower_hidden"}),
    "mmoe": ({"experts", "expert_hidden"}, {"tower_hidden"}),
    "cgc": ({"experts", "expert_hidden", "task_experts"}, {"tower_hidden"}),
    "sparse_weight": (set(), {"hidden", "masks"}),
    "sparse_neuron": (set(), {"hidden", "masks"}),
}
HARD = [{"bottom_hidden"}, {"tower_hidden"}, {"bottom_hidden", "tower_hidden"}]  # at least one layer


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_keys_of_sharing(kind: str) -> None:
    allowed = [keys for keys in subsets(EXAMPLES) if is_allowed(sharing_with, kind, keys)]
    if kind == "hard":
        assert allowed == HARD
        return
    needed, optional = KEYS[kind]
    assert allowed == [keys for keys in subsets(EXAMPLES) if needed <= keys <= needed | optional]


def sharing_with(kind: str, keys: frozenset[str]) -> RankerModel:
    return declared({"kind": kind, **{key: EXAMPLES[key] for key in keys}})


SECTIONS: dict[str, Any] = {
    "conversion": "share",
    "tasks": {"cvr": {"weight": 2.0, "conflict": 1.0, "oversample": 3}, "like": {}},
    "weights": {"ctr": 2.0, "ctcvr": 0.5},
}


@pytest.mark.parametrize(("kind", "own"), [("ctr_cvr", "tasks"), ("esmm", "weights"), ("esm2", "weights")])
def test_the_keys_of_objectives(kind: str, own: str) -> None:
    def objective_with(keys: frozenset[str]) -> RankerModel:
        return declared({"kind": "single"}, objective={"kind": kind, **{key: SECTIONS[key] for key in keys}})

    allowed = [keys for keys in subsets(SECTIONS) if is_allowed(objective_with, keys)]
    assert allowed == [keys for keys in subsets(SECTIONS) if keys <= {"conversion", own}]


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"embedding": {"exclusive": {"dim": 8}}}, r"embedding.exclusive.heads\n  Field required"),
        ({"embedding": {"exclusive": {"heads": ["cvr"]}}}, r"embedding.exclusive.dim\n  Field required"),
        (
            {"embedding": {"exclusive": {"dim": 8, "heads": ["like"]}}},
            r"\[embedding.exclusive\] heads = \['like'\]: the heads are ctr, cvr",
        ),
        (
            {"embedding": {"exclusive": {"dim": 8, "heads": ["cvr"]}}, "objective": {"kind": "esm2"}},
            "the heads are ctr, action, cvr_after_action, cvr_without_action",
        ),
        ({"ema_decay": 1}, "ema_decay\n  Input should be less than 1"),
        ({"objective": {"kind": "esm2", "weights": {"cvr": 1}}}, r"weights.cvr\n  Extra inputs are not permitted"),
        ({"objective": {"kind": "esmm", "weights": {"ctavr": 1}}}, r"weights.ctavr\n  Extra inputs are not permitted"),
        ({"objective": {"kind": "esm3"}}, "Input tag 'esm3' .* 'ctr_cvr', 'esmm', 'esm2'"),
        ({"sharing": {"kind": "soft"}}, "Input tag 'soft' .* 'single', 'hard', 'moe', 'mmoe', 'cgc'"),
        ({"sharing": {"kind": "mvke_single", "virtual_kernels": 2}}, "Input tag 'mvke_single'"),
        ({"sharing": {"kind": "hard"}}, "give bottom_hidden, tower_hidden or both"),
        ({"sharing": {"kind": "single", "hidden": []}}, "hidden\n  List should have at least 1 item"),
        ({"sharing": {"kind": "hard", "bottom_hidden": [0]}}, "Input should be greater than 0"),
        ({"negatives": 3}, "negatives\n  Extra inputs are not permitted"),
    ],
)
def test_what_cannot_be_says_what_to_change(axes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        declared(**{"sharing": {"kind": "hard", "bottom_hidden": [6]}, **axes})
