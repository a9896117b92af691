"""Rankers of many domains: what a model file can say, and what a model does with domains that come and go."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from conf.settings.model_file import RankerModel
from conf.settings.run_file import Settings
from tests.lakes.samples import sizes
from tests.lakes.settings import START
from tests.trainer.models.combination import (
    MODEL_FILE,
    NETWORKS,
    is_allowed,
    masks_of,
    steps_saves_and_loads,
)
from trainer.data.batch import Batch
from trainer.data.layout import Layout
from trainer.models.base import TaskModel
from trainer.models.build import ranker
from trainer.objectives.build import objective_of
from trainer.training import checkpoint
from trainer.training.optimiser import StepOptimiser

DOMAINS: dict[str, dict[str, Any]] = {
    "none": {},
    "separate": {},
    "shared_bottom": {},
    "ple": {"shared_experts": 2, "domain_experts": 1},
    "star": {"normalisation": "partitioned", "auxiliary_hidden": [3]},
    "adaptdhm": {"clusters": 3, "route_by": ["users", "domain"]},
}
ALL = list(product(DOMAINS, NETWORKS, ("ctr_cvr", "esm2")))
EXPERTS, MASKED = ("moe", "mmoe", "cgc"), ("sparse_weight", "sparse_neuron")
REFUSED = [("separate", m) for m in MASKED] + [("shared_bottom", m) for m in MASKED]
REFUSED += [("ple", other) for other in (*EXPERTS, *MASKED)]
REFUSED += [(kind, other) for kind in ("star", "adaptdhm") for other in EXPERTS]


def model_of(domain: str, sharing: str = "single", objective: str = "ctr_cvr", **keys: Any) -> RankerModel:
    content = {
        "family": "ranker",
        "kind": "network",
        "embedding": {"dim": 4},
        "sharing": {"kind": sharing, **NETWORKS[sharing]},
        "objective": {"kind": objective, "conversion": "yes_no"},
        "domain": {"kind": domain, **(keys or DOMAINS[domain])},
        "ema_decay": 0.5 if sharing == "hard" else 0.0,
    }
    return MODEL_FILE.validate_python(content)


def test_the_set_of_combinations() -> None:
    refused = [(domain, sharing) for domain, sharing, _ in ALL if not is_allowed(model_of, domain, sharing)]
    assert sorted(set(refused)) == sorted(REFUSED)


@pytest.mark.parametrize("combination", [c for c in ALL if c[:2] not in REFUSED and c[0] != "none"], ids="-".join)
def test_it_builds_steps_saves_loads_and_predicts_the_same_to_the_bit(
    combination: tuple[str, str, str], demo: Settings, batch: Batch, tmp_path: Path
) -> None:
    model = model_of(*combination)
    steps_saves_and_loads(model, demo, masks_of(model, demo), batch, tmp_path)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"kind": "adaptdhm", "clusters": 0}, "clusters\n  Input should be greater than 0"),
        ({"kind": "adaptdhm"}, "clusters\n  Field required"),
        (
            {"kind": "adaptdhm", "clusters": 5, "min_share": 0.2},
            "min_share = 0.2: 5 clusters cannot all have that much",
        ),
        ({"kind": "ple", "domain_experts": 0}, "domain_experts\n  Input should be greater than 0"),
        ({"kind": "star", "clusters": 3}, "clusters\n  Extra inputs are not permitted"),
        ({"kind": "star", "normalisation": "batch"}, "'none' or 'partitioned'"),
        ({"kind": "hmoe"}, "Input tag 'hmoe' .* 'none', 'separate', 'shared_bottom', 'ple', 'star', 'adaptdhm'"),
    ],
)
def test_what_cannot_be_says_what_to_change(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        model_of(section["kind"], **{key: value for key, value in section.items() if key != "kind"} or {"x": 1})


def test_ple_needs_layers_to_make_experts_of() -> None:
    content = model_of("ple", "hard").model_dump()
    content["sharing"]["bottom_hidden"] = []
    with pytest.raises(ValidationError, match=r"makes experts of \[sharing\] bottom_hidden: give at least one layer"):
        MODEL_FILE.validate_python(content)


def network_of(demo: Settings, model: RankerModel, domains: int) -> TaskModel:
    """Of the [training] start day, with this many domains, in eval mode."""
    return ranker(model, demo, sizes(START) | {"domain": domains + 2}).eval()


def of_domain(demo: Settings, batch: Batch, domain: int) -> Batch:
    """The batch, shown in one domain."""
    ids = batch.ids.clone()
    layout = Layout.of(demo.features)
    ids[:, layout.positions([layout.feature("domain")])] = domain
    return Batch(ids, batch.labels, {}, batch.values)


def trained(demo: Settings, model: RankerModel, network: TaskModel, batch: Batch, steps: int = 3) -> StepOptimiser:
    objective = objective_of(model, demo)
    adam = StepOptimiser(network, [step.name for step in objective.steps], model.optimiser)
    network.train()
    for _ in range(steps):
        for step in objective.steps:
            rows = batch.rows(step.rows(batch))
            adam.zero_grad()
            step.loss(network.logits(rows, step.heads), rows).backward()  # type: ignore[no-untyped-call]
            adam.step(step.name)
        network.observe(batch, 1.0)
    network.eval()
    return adam


@pytest.mark.parametrize("domain", ["separate", "shared_bottom", "ple", "star"])
def test_a_new_domain_is_served_today_and_learnt_from_today(
    domain: str, demo: Settings, batch: Batch, tmp_path: Path
) -> None:
    model = model_of(domain)
    yesterday = network_of(demo, model, 2)
    adam = trained(demo, model, yesterday, of_domain(demo, batch, 2))
    trained(demo, model, yesterday, of_domain(demo, batch, 3))
    new = of_domain(demo, batch, 4)
    unseen = of_domain(demo, batch, 1)
    served = yesterday.logits(new, ["ctr"])["ctr"]
    assert torch.isfinite(served).all()
    assert torch.equal(served, yesterday.logits(unseen, ["ctr"])["ctr"])

    checkpoint.save(
        tmp_path,
        yesterday,
        adam.state(),
        {"sizes": sizes(START) | {"domain": 4}, "feature_order": [f.name for f in demo.features]},
    )
    today = network_of(demo, model, 3)
    checkpoint.warm_start(today, checkpoint.load(tmp_path, expected={}, hint=""))
    known = of_domain(demo, batch, 2)
    assert torch.equal(today.logits(known, ["ctr"])["ctr"], yesterday.logits(known, ["ctr"])["ctr"])
    before = today.logits(new, ["ctr"])["ctr"]
    trained(demo, model, today, new)
    assert not torch.equal(today.logits(new, ["ctr"])["ctr"], before)


def test_star_serves_an_unknown_domain_by_the_shared_weights_alone(demo: Settings, batch: Batch) -> None:
    star, plain = model_of("star", normalisation="none"), model_of("none")
    network = network_of(demo, star, 2)
    trained(demo, star, network, of_domain(demo, batch, 2))
    shared = network_of(demo, plain, 2)
    shared.load_state_dict({k: v for k, v in network.state_dict().items() if "of_groups" not in k})
    unknown = of_domain(demo, batch, 1)
    assert torch.equal(network.logits(unknown, ["ctr"])["ctr"], shared.logits(unknown, ["ctr"])["ctr"])
    known = of_domain(demo, batch, 2)
    assert not torch.equal(network.logits(known, ["ctr"])["ctr"], shared.logits(known, ["ctr"])["ctr"])


@pytest.mark.parametrize("domain", ["separate", "shared_bottom", "ple", "star"])
def test_a_domain_that_vanished_costs_nothing_and_stays_as_it_is(domain: str, demo: Settings, batch: Batch) -> None:
    model = model_of(domain)
    network = network_of(demo, model, 2)
    adam = trained(demo, model, network, of_domain(demo, batch, 2))
    state = adam.state()
    of_3 = [
        name
        for name, _ in network.named_parameters()
        if any(part in ("3", "ctr_3", "cvr_3") for part in name.split("."))
    ]
    assert of_3
    assert not any(name in of_adam for of_adam in state.values() for name in of_3)


@pytest.mark.parametrize("domain", ["separate", "shared_bottom", "ple", "star"])
def test_a_model_of_domains_without_any_domain_is_refused(domain: str, demo: Settings) -> None:
    """STAR would train, as a network without domains that nobody asked for."""
    with pytest.raises(Exception, match="no value of feature 'domain' has an id") as refused:
        network_of(demo, model_of(domain), 0)
    assert "lower min_count" in str(refused.value)


def test_a_row_passes_through_its_own_clusters_branch_only(demo: Settings, batch: Batch) -> None:
    model = model_of("adaptdhm")
    network = network_of(demo, model, 2)
    one = batch.rows(torch.tensor([0]))
    network.logits(one, ["ctr"])["ctr"].sum().backward()  # type: ignore[no-untyped-call]
    branches = {
        name.split("of_groups.")[1].split(".")[0]
        for name, parameter in network.named_parameters()
        if "of_groups" in name and parameter.grad is not None
    }
    assert len(branches) == 1


def test_batches_of_clicked_rows_move_no_centre(demo: Settings, batch: Batch) -> None:
    """A CVR step, or a CTR step, or both: centres only know `observe`, which gets all impressions."""
    model = model_of("adaptdhm")
    network = network_of(demo, model, 2)
    before = {name: value.clone() for name, value in network.state_dict().items() if "routings" in name}
    objective = objective_of(model, demo)
    adam = StepOptimiser(network, [step.name for step in objective.steps], model.optimiser)
    network.train()
    for step in objective.steps:
        rows = batch.rows(step.rows(batch))
        step.loss(network.logits(rows, step.heads), rows).backward()  # type: ignore[no-untyped-call]
        adam.step(step.name)
        network.after_step()
    after = network.state_dict()
    assert all(torch.equal(value.nan_to_num(), after[name].nan_to_num()) for name, value in before.items())
    network.observe(batch, 1.0)
    assert not torch.equal(network.state_dict()["routings.cvr.centres"], before["routings.cvr.centres"])


@pytest.mark.parametrize("sharing", ["single", "hard", "sparse_weight"])
def test_parameters_are_those_of_k_plus_1_or_m_plus_1_networks(sharing: str, demo: Settings) -> None:
    """AdaptDHM table 3: STAR has M + 1 times the network, AdaptDHM K + 1 times, whatever M is."""

    def parameters(network: TaskModel) -> int:
        found = [p.numel() for name, p in network.named_parameters() if "network" in name and "output_bias" not in name]
        return sum(found)

    plain = parameters(network_of(demo, model_of("none", sharing), 33).eval())
    star = parameters(network_of(demo, model_of("star", sharing, normalisation="none"), 33))
    adaptdhm = parameters(network_of(demo, model_of("adaptdhm", sharing, clusters=5), 33))
    assert star == (33 + 1) * plain
    assert adaptdhm == (5 + 1) * plain
