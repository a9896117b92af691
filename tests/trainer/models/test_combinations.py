"""Every combination of axes that conf allows works; every other one is refused by name; and the set is this one."""

from itertools import product

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from conf.load import load_settings
from conf.settings.model_file import Model, RankerModel, TaggerModel
from etl.contract import columns_of, value_columns
from tests.lakes.samples import sample_rows, sizes
from tests.lakes.settings import START
from trainer.data.batch import Batch
from trainer.models.build import build, mask_shapes
from trainer.objectives.build import objective_of
from trainer.parts.mask import Mask
from trainer.pruning.prune import PRUNE
from trainer.training import checkpoint
from trainer.training.optimiser import StepOptimiser

NETWORKS = {
    "single": {},
    "hard": {"shared_layers": 1},
    "moe": {"shared_layers": 1, "experts": 2},
    "mmoe": {"shared_layers": 1, "experts": 2},
    "cgc": {"shared_layers": 1, "experts": 2, "own_experts": 1},
    "sparse_weight": {},
    "sparse_neuron": {},
}
OBJECTIVES = ("ctr_cvr", "esmm", "esm2")
CONVERSIONS = ("share", "yes_no")
EXCLUSIVE = ("none", "one head")
NUMERIC = ("bucketed", "tanh")
ALL = list(product(NETWORKS, OBJECTIVES, CONVERSIONS, EXCLUSIVE, NUMERIC))
# a network of its own for each task shares no embedding, so none of them can have an exclusive one
ALLOWED = [combination for combination in ALL if combination[0] != "single" or combination[3] == "none"]


def declared(**axes: object) -> RankerModel:
    return TypeAdapter(Model).validate_python({"family": "ranker", "embedding_dim": 4, "hidden": [6, 4], **axes})


def model_of(sharing: str, objective: str, conversion: str, exclusive: str, numeric: str) -> RankerModel:
    last = "cvr_without_action" if objective == "esm2" else "cvr"
    own = {"exclusive": [last], "exclusive_dim": 3} if exclusive == "one head" else {}
    axes = {"sharing": sharing, "objective": objective, "conversion": conversion, "numeric": numeric, "ema_decay": 0.5}
    return declared(**axes, **NETWORKS[sharing], **own)


def is_allowed(build_model, *arguments, **axes) -> bool:
    try:
        build_model(*arguments, **axes)
    except ValidationError:
        return False
    return True


def test_the_set_of_combinations():
    assert len(ALL) == 7 * 3 * 2 * 2 * 2
    assert [combination for combination in ALL if is_allowed(model_of, *combination)] == ALLOWED
    assert len(ALLOWED) == 156


@pytest.mark.parametrize("combination", [c for c in ALL if c not in ALLOWED], ids="-".join)
def test_other_combinations_are_refused_by_name(combination):
    with pytest.raises(ValidationError, match="sharing = 'single' shares no embedding: take exclusive out"):
        model_of(*combination)


@pytest.fixture(scope="module")
def demo():
    return load_settings("conf/demo.toml")


@pytest.fixture(scope="module")
def batch(demo) -> Batch:
    return random_batch(demo)


def random_batch(settings) -> Batch:
    frame = sample_rows(settings, START, 64)
    names = ("click", "action", "conversion", "converted", "click_defined", "action_defined", "conversion_defined")
    labels = {name: torch.tensor(frame[name].to_numpy("float32")) for name in names}
    values = torch.tensor(frame[value_columns(settings.features)].to_numpy("float32"))
    return Batch(torch.tensor(frame[columns_of(settings.features)].to_numpy("int64")), labels, {}, values)


def masks_of(model: RankerModel | TaggerModel, settings) -> dict[str, Mask] | None:
    """Different for every head, as pruned after random weights."""
    if not model.is_masked:
        return None
    found = {}
    for number, head in enumerate(model.heads):
        random = torch.Generator().manual_seed(number)
        weights = {name: torch.randn(shape, generator=random) for name, shape in mask_shapes(model, settings).items()}
        found[head] = PRUNE[model.sharing](Mask.ones(weights), weights, 0.4)
    return found


@pytest.mark.parametrize("combination", ALLOWED, ids="-".join)
def test_it_builds_steps_saves_loads_and_predicts_the_same_to_the_bit(combination, demo, batch, tmp_path):
    model = model_of(*combination)
    steps_saves_and_loads(model, demo, masks_of(model, demo), batch, tmp_path)


def steps_saves_and_loads(model, settings, masks, batch, tmp_path) -> None:
    objective = objective_of(model, settings)
    network = build(model, settings, sizes(START), masks)
    network.scale({"duration_s": {"mean": 40.0, "std": 30.0}})
    adam = StepOptimiser(network, [step.name for step in objective.steps], model.optimiser)

    def predictions(of):
        """By the weights themselves, and by their mean."""
        found = {}
        for mode in (True, False):
            of.train(mode)
            with torch.inference_mode():
                logits = of.logits(batch, objective.head_names)
            found |= {(name, mode): value for name, value in objective.probabilities(logits).items()}
        network.train()
        return found

    before = predictions(network)
    for step in objective.steps:
        adam.zero_grad()
        learnt_from = batch.rows(step.rows(batch))
        loss = step.loss(network.logits(learnt_from, step.heads), learnt_from)
        assert torch.isfinite(loss) and loss > 0
        loss.backward()
        adam.step(step.name)
        network.after_step()
    after = predictions(network)
    assert set(after) == {(target.name, mode) for target in objective.targets for mode in (True, False)}
    for name, probability in after.items():
        assert torch.isfinite(probability).all() and (probability >= 0).all() and (probability <= 1).all()
        assert not torch.equal(probability, before[name]), f"the step did not move {name}"

    checkpoint.save(tmp_path, network, adam.state(), {"sizes": sizes(START)})
    saved = checkpoint.load(tmp_path, expected={}, hint="")
    restored = build(model, settings, saved.sizes, masks)
    restored.load_state_dict(saved.weights)
    assert all(torch.equal(predictions(restored)[name], probability) for name, probability in after.items())
    # and the way of a daily run, which takes weights over into tables that may have grown
    taken_over = build(model, settings, saved.sizes, masks)
    adam_again = StepOptimiser(taken_over, [step.name for step in objective.steps], model.optimiser)
    adam_again.restore(checkpoint.warm_start(taken_over, saved))
    assert all(torch.equal(predictions(taken_over)[name], probability) for name, probability in after.items())
    for kind, of_adam in adam.state().items():
        for name, state in of_adam.items():
            assert all(torch.equal(value, adam_again.state()[kind][name][key]) for key, value in state.items())


SHARED_LAYERS, EXPERTS, OWN, MASKS = (0, 1), (0, 2), (0, 1), (None, "m")
# sharing -> shared_layers, experts, own_experts, masks
SHAPES = {
    "single": {(0, 0, 0, None)},
    "hard": {(0, 0, 0, None), (1, 0, 0, None)},
    "moe": {(1, 2, 0, None)},
    "mmoe": {(1, 2, 0, None)},
    "cgc": {(1, 2, 1, None)},
    "sparse_weight": {(0, 0, 0, None), (0, 0, 0, "m")},
    "sparse_neuron": {(0, 0, 0, None), (0, 0, 0, "m")},
}


@pytest.mark.parametrize("sharing", SHAPES)
def test_the_set_of_networks(sharing):
    allowed = {
        (layers, experts, own, masks)
        for layers, experts, own, masks in product(SHARED_LAYERS, EXPERTS, OWN, MASKS)
        if is_allowed(declared, sharing=sharing, shared_layers=layers, experts=experts, own_experts=own, masks=masks)
    }
    assert allowed == SHAPES[sharing]


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"sharing": "single", "shared_layers": 1}, "shared_layers goes with sharing = 'hard', 'moe', 'mmoe' or 'cgc'"),
        ({"sharing": "hard", "shared_layers": 3}, "shared_layers = 3 but there are 2 hidden layers"),
        ({"sharing": "hard", "experts": 2}, "experts > 0 goes with sharing = 'moe', 'mmoe' or 'cgc'"),
        ({"sharing": "moe", "experts": 2}, "sharing = 'moe' needs shared_layers"),
        ({"sharing": "mmoe", "shared_layers": 1}, "experts > 0 goes with sharing = 'moe', 'mmoe' or 'cgc'"),
        ({"sharing": "cgc", "shared_layers": 1, "experts": 2}, "own_experts > 0 goes with sharing = 'cgc'"),
        ({"sharing": "moe", "shared_layers": 1, "experts": 2, "own_experts": 1}, "own_experts > 0 goes with"),
        ({"sharing": "hard", "masks": "m"}, "masks goes with sharing = 'sparse_weight' or 'sparse_neuron'"),
        ({"sharing": "hard", "exclusive": ["cvr"]}, "exclusive .which heads. and exclusive_dim .how wide. go together"),
        ({"sharing": "hard", "exclusive_dim": 8}, "exclusive .which heads. and exclusive_dim .how wide. go together"),
        (
            {"sharing": "hard", "exclusive": ["like"], "exclusive_dim": 8},
            "exclusive = .'like'.: the heads are ctr, cvr",
        ),
        ({"sharing": "hard", "ema_decay": 1}, "ema_decay"),
        (
            {"sharing": "hard", "objective": "esm2", "exclusive": ["cvr"], "exclusive_dim": 8},
            "the heads are ctr, action, cvr_after_action, cvr_without_action",
        ),
        ({"sharing": "hard", "objective": "esm2", "tasks": {"cvr": {}}}, "the losses of esm2 are ctr, ctavr, ctcvr"),
        ({"sharing": "hard", "objective": "esmm", "tasks": {"like": {}}}, "like: the losses of esmm are ctr, ctcvr"),
        (
            {"sharing": "hard", "objective": "esmm", "tasks": {"ctr": {"oversample": 2}}},
            "conflict and oversample go",
        ),
        (
            {"sharing": "hard", "objective": "esm2", "tasks": {"ctr": {"conflict": 1}}},
            "conflict and oversample go",
        ),
        ({"sharing": "soft"}, "Input should be 'single'"),
        ({"sharing": "hard", "objective": "esm3"}, "Input should be 'ctr_cvr', 'esmm' or 'esm2'"),
    ],
)
def test_what_cannot_be_says_what_to_change(axes, message):
    with pytest.raises(ValidationError, match=message):
        declared(**axes)
