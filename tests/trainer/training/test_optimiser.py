"""Adam's state, from one day to the next."""

import pytest
import torch
from torch import nn

from conf.settings.model_file import Optimiser
from conf.settings.run_file import Feature
from trainer.parts.dense import Dense
from trainer.parts.embedding import Embedding
from trainer.training.optimiser import TABLES, StepOptimiser


def model() -> nn.ModuleDict:
    table = Embedding([Feature(name="user", table="users")], {"user": 4}, dim=2, seed=0, name="e")
    return nn.ModuleDict({"table": table, "net": Dense([2, 1], 0, "d", last_activation=False)})


def after_steps(of: nn.ModuleDict, optimiser: StepOptimiser, steps: int) -> None:
    for _ in range(steps):
        optimiser.zero_grad()
        device = of["table"].table.device
        of["net"](of["table"](torch.tensor([[2], [3]], device=device)).flatten(1)).square().sum().backward()
        optimiser.step("ctr")


def state_of_a_day() -> dict[str, dict[str, dict[str, torch.Tensor]]]:
    """As a checkpoint holds it: on the CPU."""
    trained = model()
    optimiser = StepOptimiser(trained, ["ctr"], Optimiser())
    after_steps(trained, optimiser, 3)
    return optimiser.state()


@pytest.mark.parametrize(
    "device",
    [
        "meta",
        pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")),
    ],
)
def test_restored_state_is_on_the_device_of_its_parameter(device: str) -> None:
    """All of it, Adam's count of steps included: fused Adam refuses a count on another device."""
    saved = state_of_a_day()
    today = model().to(device)
    optimiser = StepOptimiser(today, ["ctr"], Optimiser())
    optimiser.restore(saved)
    restored = optimiser.state()
    found = {
        (key, name, value): tensor.device.type
        for key, of_adam in restored.items()
        for name, state in of_adam.items()
        for value, tensor in state.items()
    }
    assert set(found) == {
        (key, name, value)
        for key, name in ((TABLES, "table.table"), ("ctr", "net.weights.layer0"), ("ctr", "net.biases.layer0"))
        for value in ("step", "exp_avg", "exp_avg_sq")
    }
    assert set(found.values()) == {device}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_second_day_on_a_gpu_goes_on_from_the_first() -> None:
    today = model().to("cuda")
    optimiser = StepOptimiser(today, ["ctr"], Optimiser())
    optimiser.restore(state_of_a_day())
    after_steps(today, optimiser, 2)
    assert optimiser.state()["ctr"]["net.weights.layer0"]["step"].item() == 5


def test_a_restored_optimiser_goes_on_as_if_it_had_never_stopped() -> None:
    through, halfway = model(), model()
    optimiser = StepOptimiser(through, ["ctr"], Optimiser())
    after_steps(through, optimiser, 4)
    first = StepOptimiser(halfway, ["ctr"], Optimiser())
    after_steps(halfway, first, 2)
    second = StepOptimiser(halfway, ["ctr"], Optimiser())
    second.restore(first.state())
    after_steps(halfway, second, 2)
    assert all(torch.equal(a, b) for a, b in zip(through.parameters(), halfway.parameters(), strict=True))
