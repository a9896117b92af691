"""What the tests of combinations do with each: build it, take a step, save it and load it."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from conf.settings.model_file import Model, NetworkModel, needs_masks
from conf.settings.run_file import Settings
from etl.contract import columns_of, value_columns
from tests.lakes.samples import sample_rows, sizes
from tests.lakes.settings import START
from trainer.data.batch import Batch
from trainer.models.base import TaskModel
from trainer.models.build import build, mask_shapes
from trainer.objectives.build import objective_of
from trainer.parts.mask import Mask
from trainer.pruning.prune import PRUNE
from trainer.training import checkpoint
from trainer.training.optimiser import StepOptimiser

MODEL_FILE: TypeAdapter[Model] = TypeAdapter(Model)
LABELS = ("click", "action", "conversion", "converted", "click_defined", "action_defined", "conversion_defined")

# What a model file may say of each kind of sharing, beside its kind: the smallest network of every kind.
NETWORKS: dict[str, dict[str, Any]] = {
    "single": {"hidden": [6, 4]},
    "hard": {"bottom_hidden": [6], "tower_hidden": [4]},
    "moe": {"experts": 2, "expert_hidden": [6], "tower_hidden": [4]},
    "mmoe": {"experts": 2, "expert_hidden": [6], "tower_hidden": [4]},
    "cgc": {"experts": 2, "task_experts": 1, "expert_hidden": [6], "tower_hidden": [4]},
    "sparse_weight": {"hidden": [6, 4]},
    "sparse_neuron": {"hidden": [6, 4]},
}


def is_allowed(*arguments: Any) -> bool:
    """arguments: a function that declares a model, and what to call it with."""
    declare, *axes = arguments
    try:
        declare(*axes)
    except ValidationError:
        return False
    return True


def random_batch(settings: Settings) -> Batch:
    frame = sample_rows(settings, START, 64)
    labels = {name: torch.tensor(frame[name].to_numpy("float32")) for name in LABELS}
    values = torch.tensor(frame[value_columns(settings.features)].to_numpy("float32"))
    return Batch(torch.tensor(frame[columns_of(settings.features)].to_numpy("int64")), labels, {}, values)


def masks_of(model: NetworkModel, settings: Settings) -> dict[str, Mask] | None:
    """Different for every head, as pruned after random weights."""
    if not needs_masks(model):
        return None
    found = {}
    for number, head in enumerate(model.heads):
        random = torch.Generator().manual_seed(number)
        weights = {name: torch.randn(shape, generator=random) for name, shape in mask_shapes(model, settings).items()}
        found[head] = PRUNE[model.sharing.kind](Mask.ones(weights), weights, 0.4)
    return found


def steps_saves_and_loads(
    model: NetworkModel, settings: Settings, masks: Mapping[str, Mask] | None, batch: Batch, folder: Path
) -> None:
    """A step of every kind moves every target; a saved model predicts the same to the bit, loaded in either way."""
    objective = objective_of(model, settings)
    network = build(model, settings, sizes(START), masks)
    network.scale({"duration_s": {"mean": 40.0, "std": 30.0}})
    adam = StepOptimiser(network, [step.name for step in objective.steps], model.optimiser)

    def predictions(of: TaskModel) -> dict[tuple[str, bool], Tensor]:
        """By the weights themselves (in training mode), and by their moving average; the model stays as it is."""
        found, of = {}, deepcopy(of)
        for training in (True, False):
            of.train(training)
            with torch.inference_mode():
                logits = of.logits(batch, objective.head_names)
            found |= {(name, training): value for name, value in objective.probabilities(logits).items()}
        return found

    before = predictions(network)
    network.train()
    for step in objective.steps:
        adam.zero_grad()
        rows = batch.rows(step.rows(batch))
        loss = step.loss(network.logits(rows, step.heads), rows)
        assert torch.isfinite(loss) and loss > 0
        loss.backward()
        adam.step(step.name)
        network.after_step()
    network.observe(batch, 1.0)
    after = predictions(network)
    assert set(after) == {(target.name, training) for target in objective.targets for training in (True, False)}
    for name, probability in after.items():
        assert torch.isfinite(probability).all() and (probability >= 0).all() and (probability <= 1).all()
        assert not torch.equal(probability, before[name]), f"the step did not move {name}"

    order = [feature.name for feature in settings.features]
    checkpoint.save(folder, network, adam.state(), {"sizes": sizes(START), "feature_order": order})
    saved = checkpoint.load(folder, expected={}, hint="")
    loaded = build(model, settings, saved.sizes, masks)
    loaded.load_state_dict(saved.weights)
    assert all(torch.equal(predictions(loaded)[name], probability) for name, probability in after.items())
    # as a daily run loads it: copied into tables that may have grown
    warm = build(model, settings, saved.sizes, masks)
    warm_adam = StepOptimiser(warm, [step.name for step in objective.steps], model.optimiser)
    warm_adam.restore(checkpoint.warm_start(warm, saved))
    assert all(torch.equal(predictions(warm)[name], probability) for name, probability in after.items())
    for kind, of_adam in adam.state().items():
        for name, state in of_adam.items():
            assert all(torch.equal(value, warm_adam.state()[kind][name][key]) for key, value in state.items())
