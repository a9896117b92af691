"""A ranker for each domain that sees no row of another one: the control that models of many domains are judged by."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from trainer.data.batch import Batch
from trainer.models.base import TaskModel
from trainer.models.ranker import Ranker
from trainer.parts.groups import Groups
from trainer.parts.numbers import Statistics
from trainer.parts.routing import ByDomain


class DomainRankers(TaskModel):
    """rankers: domain id -> its ranker. A row of any other domain gets the mean of all rankers' logits."""

    def __init__(self, heads: Sequence[str], rankers: Mapping[int, Ranker], routing: ByDomain) -> None:
        super().__init__()
        self.heads = tuple(heads)
        self.rankers = nn.ModuleDict({str(domain): ranker for domain, ranker in rankers.items()})
        self._rankers = dict(rankers)
        self.routing = routing
        self.value_columns = next(iter(rankers.values())).value_columns

    def maskable_weights(self) -> dict[str, Tensor]:
        return {}

    def scale(self, statistics: Statistics) -> None:
        for ranker in self._rankers.values():
            ranker.scale(statistics)

    def after_step(self) -> None:
        for ranker in self._rankers.values():
            ranker.after_step()

    def logits(self, batch: Batch, heads: Sequence[str]) -> dict[str, Tensor]:
        groups = Groups.of(self.routing.domains(batch.ids))
        rows = torch.arange(len(batch), device=batch.ids.device)
        found = [self._of_domain(domain, batch.rows(chosen), heads) for domain, chosen in groups.split(rows)]
        return {head: groups.join([part[head] for part in found]) for head in heads}

    def _of_domain(self, domain: int, batch: Batch, heads: Sequence[str]) -> dict[str, Tensor]:
        rankers = [self._rankers[domain]] if domain in self._rankers else list(self._rankers.values())
        each = [ranker.logits(batch, heads) for ranker in rankers]
        return {head: torch.stack([logits[head] for logits in each]).mean(0) for head in heads}
