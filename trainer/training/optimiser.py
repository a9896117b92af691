"""Adam with one state for the embedding tables, and one for each kind of step for everything above them.

With a state of its own, a step moves nothing that its losses have no gradient for: a weight that its masks exclude has
zero moments and stays where it is, to the bit. With one state for all steps, the momentum of one task would move
weights during another task's steps. The tables are shared on purpose; their rows profit from one common state.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from conf.settings.model_file import Optimiser

TABLES = "tables"
State = dict[str, dict[str, dict[str, Tensor]]]


def size_above_tables(model: nn.Module) -> int:
    """Number of parameters that are not embedding tables."""
    return sum(parameter.numel() for name, parameter in model.named_parameters() if not name.endswith(".table"))


class StepOptimiser:
    """steps: the names of the kinds of steps."""

    def __init__(self, model: nn.Module, steps: Sequence[str], settings: Optimiser) -> None:
        named = dict(model.named_parameters())
        tables = [(name, parameter) for name, parameter in named.items() if name.endswith(".table")]
        others = [(name, parameter) for name, parameter in named.items() if not name.endswith(".table")]
        self._named = named
        self._adams = {TABLES: torch.optim.Adam(tables, lr=settings.embedding_learning_rate, fused=True)}
        for step in steps:
            self._adams[step] = torch.optim.Adam(others, lr=settings.learning_rate, fused=True)

    def zero_grad(self) -> None:
        for parameter in self._named.values():
            parameter.grad = None

    def step(self, name: str) -> None:
        """Moves the parameters that have a gradient from a step of this kind."""
        self._adams[TABLES].step()
        self._adams[name].step()

    def state(self) -> State:
        """TABLES or step -> parameter name -> Adam's state; parameters that never moved are left out."""
        return {
            key: {name: dict(adam.state[p]) for name, p in self._named.items() if p in adam.state}
            for key, adam in self._adams.items()
        }

    def restore(self, state: Mapping[str, Mapping[str, Mapping[str, Tensor]]]) -> None:
        """Takes over a saved state. All of it goes to the parameter's device: fused Adam needs its `step` there too."""
        for key, of_adam in state.items():
            for name, values in of_adam.items():
                parameter = self._named[name]
                self._adams[key].state[parameter] = {k: v.to(parameter.device) for k, v in values.items()}
