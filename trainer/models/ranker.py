"""The ranker: embedding, cross, and the network that the [sharing] section of its model file describes."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from conf.settings.model_file import RankerModel
from conf.settings.run_file import Feature
from trainer.data.batch import Batch
from trainer.data.layout import Layout
from trainer.models.base import TaskModel
from trainer.parts.cross import Cross
from trainer.parts.embedding import Embedding
from trainer.parts.groups import Groups
from trainer.parts.head_network import HeadNetwork
from trainer.parts.mask import Mask
from trainer.parts.network import build_adapted
from trainer.parts.numbers import Numbers, Statistics
from trainer.parts.routing import ByCluster, ByDomain, ClusterReport, Routing, domain_ids, places

SHARED = "shared"


class Ranker(TaskModel):
    """Heads over embeddings: one embedding for all heads or one for each, and exclusive ones of single heads beside it.

    The network's input always has the same width: a head without an exclusive embedding sees zeros in its place.
    ema_decay: decay per step of a moving average of the network's weights, which predicts in eval mode while training
    continues from the weights themselves. 0: no average. Tables are not averaged, since that would delay what is
    known of a user. To export the network that predicts, take ema.module.
    numbers: numeric features as raw values, when they are not embedded; id_columns: the columns of Batch.ids that are.
    routings: for each embedding, what groups rows by its vectors; empty when the network makes no difference.
    """

    id_columns: Tensor | None

    def __init__(
        self,
        heads: Sequence[str],
        embeddings: Mapping[str, Embedding],
        cross: Cross,
        exclusive: Mapping[str, Embedding],
        network: HeadNetwork,
        ema_decay: float = 0.0,
        numbers: Numbers | None = None,
        id_columns: Tensor | None = None,
        routings: Mapping[str, Routing] | None = None,
    ) -> None:
        super().__init__()
        self.heads = tuple(heads)
        self.embeddings = nn.ModuleDict(embeddings)
        self.cross = cross
        self.exclusive = nn.ModuleDict(exclusive)
        self.network = network
        self.ema: AveragedModel | None = None
        if ema_decay:
            average = get_ema_multi_avg_fn(ema_decay)  # type: ignore[no-untyped-call]  # torch leaves it untyped
            self.ema = AveragedModel(network, multi_avg_fn=average)
        self.numbers = numbers
        self.value_columns = tuple(numbers.columns) if numbers else ()
        self.register_buffer("id_columns", id_columns, persistent=False)
        self._routings = dict(routings or {})
        self.routings = nn.ModuleDict(self._routings)
        self._exclusive_width = next((embedding.width for embedding in exclusive.values()), 0)

    def scale(self, statistics: Statistics) -> None:
        if self.numbers:
            self.numbers.scale(statistics)

    def after_step(self) -> None:
        if self.ema:
            self.ema.update_parameters(self.network)

    @property
    def observes(self) -> bool:
        return any(routing.observes for routing in self._routings.values())

    @torch.no_grad()
    def observe(self, batch: Batch, whole: float) -> None:
        ids = self._embedded_ids(batch)
        for name, routing in self._routings.items():
            routing.observe(self.embeddings[name](ids), whole)

    def clusters(self) -> dict[str, ClusterReport]:
        return {name: report for name, routing in self._routings.items() if (report := routing.report())}

    def maskable_weights(self) -> dict[str, Tensor]:
        return self.network.maskable_weights()

    def logits(self, batch: Batch, heads: Sequence[str]) -> dict[str, Tensor]:
        network = self.ema if self.ema and not self.training else self.network
        found: dict[str, Tensor] = {}
        for name, embedding in self.embeddings.items():
            of_embedding = list(heads) if name == SHARED else [head for head in heads if head == name]
            if not of_embedding:
                continue
            vectors = embedding(self._embedded_ids(batch))
            groups = Groups.of(self._routings[name](vectors, batch.ids)) if name in self._routings else None
            for x, seen_by in self._inputs(vectors, batch, of_embedding):
                found |= {head: output.squeeze(-1) for head, output in network(x, seen_by, groups).items()}
        return found

    def _embedded_ids(self, batch: Batch) -> Tensor:
        return batch.ids if self.id_columns is None else batch.ids[:, self.id_columns]

    def _inputs(self, vectors: Tensor, batch: Batch, heads: Sequence[str]) -> Iterator[tuple[Tensor, list[str]]]:
        """Each distinct input [B, width] once, with the heads that see it; vectors [B, F, dim]."""
        x = self.cross(vectors)
        if self.numbers:
            x = torch.cat([x, self.numbers(batch.values)], 1)
        if not self.exclusive:
            yield x, list(heads)
            return
        ids = self._embedded_ids(batch)
        exclusive = {head: self.exclusive[head](ids).flatten(1) for head in heads if head in self.exclusive}
        for head, own in exclusive.items():
            yield torch.cat([x, own], 1), [head]
        if others := [head for head in heads if head not in exclusive]:
            yield F.pad(x, (0, self._exclusive_width)), others


def input_width(model: RankerModel, layout: Layout) -> int:
    """Width of the network's input: numbers per row."""
    embedded = _embedded(model, layout)
    exclusive = model.embedding.exclusive.dim if model.embedding.exclusive else 0
    raw_numbers = len(layout.features) - len(embedded)
    return Cross(embedded, model.embedding.dim).width + raw_numbers + len(embedded) * exclusive


def _embedded(model: RankerModel, layout: Layout) -> list[Feature]:
    return [f for f in layout.features if model.embedding.numeric == "bucketed" or f.kind != "numeric"]


def build_ranker(
    model: RankerModel,
    layout: Layout,
    domain: Feature | None,
    sizes: Mapping[str, int],
    seed: int,
    masks: Mapping[str, Mask] | None = None,
) -> Ranker:
    """A freshly initialised ranker; equal seeds give equal weights. Without masks, sNET is dense for every head.

    domain: the feature that tells domains apart, if there is one.
    """
    heads, embedded, exclusive = model.heads, _embedded(model, layout), model.embedding.exclusive

    def embedding(dim: int, name: str) -> Embedding:
        return Embedding(embedded, sizes, dim, seed, f"embedding/{name}")

    names = heads if model.sharing.kind == "single" else (SHARED,)
    domains = domain_ids(sizes[domain.name]) if domain and model.domain.needs_feature else ()
    network = build_adapted(model.domain, model.sharing, input_width(model, layout), 1, heads, seed, masks, domains)
    raw = model.embedding.numeric == "tanh"
    return Ranker(
        heads,
        {name: embedding(model.embedding.dim, name) for name in names},
        Cross(embedded, model.embedding.dim),
        {head: embedding(exclusive.dim, f"exclusive/{head}") for head in exclusive.heads} if exclusive else {},
        network,
        model.ema_decay,
        Numbers(layout.features) if raw else None,
        torch.tensor(layout.positions(embedded)) if raw else None,
        {name: routing for name in names if (routing := _routing(model, layout, domain, sizes, seed))},
    )


def _routing(
    model: RankerModel, layout: Layout, domain: Feature | None, sizes: Mapping[str, int], seed: int
) -> Routing | None:
    if model.domain.kind == "adaptdhm":
        fields = places(_embedded(model, layout), model.domain.route_by, domain)
        return ByCluster(fields, model.embedding.dim, model.domain.clusters, model.domain.min_share, seed)
    return by_domain(layout, domain, sizes) if domain and model.domain.needs_feature else None


def by_domain(layout: Layout, domain: Feature, sizes: Mapping[str, int]) -> ByDomain:
    return ByDomain(layout.positions([domain])[0], sizes[domain.name])
