"""The ranker: embedding, cross, and a network above whose sharing the model file chooses."""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from conf.settings.model_file import RankerModel
from conf.settings.run_file import Feature, Settings
from etl.contract import columns_of
from trainer.data.batch import Batch
from trainer.models.base import TaskModel
from trainer.parts.cross import Cross
from trainer.parts.embedding import Embedding
from trainer.parts.mask import Mask
from trainer.parts.network import network
from trainer.parts.numbers import Numbers, Statistics
from trainer.parts.sharing import SparseSharing

SHARED = "shared"


class Ranker(TaskModel):
    """Heads over embeddings: one embedding for all, or one for each; and further ones that a head has for itself.

    The network sees every row at one width: a head without an embedding of its own sees zeros where others have theirs.
    ema_decay: decay a step of the running mean of the network's weights, by which it predicts (eval mode); training
    goes on from the weights themselves. 0: no mean. Tables are not averaged: what is known of a user would come
    late. Who exports the network that predicts takes mean.module.
    numbers: numeric features as they are, when they are not embedded; id_columns: columns of Batch.ids that then are.
    """

    id_columns: Tensor | None

    def __init__(
        self,
        heads: Sequence[str],
        embeddings: Mapping[str, Embedding],
        cross: Cross,
        exclusive: Mapping[str, Embedding],
        network: nn.Module,
        ema_decay: float = 0.0,
        numbers: Numbers | None = None,
        id_columns: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.heads = tuple(heads)
        self.embeddings = nn.ModuleDict(embeddings)
        self.cross = cross
        self.exclusive = nn.ModuleDict(exclusive)
        self.network = network
        self.mean: AveragedModel | None = None
        if ema_decay:
            decay = get_ema_multi_avg_fn(ema_decay)  # type: ignore[no-untyped-call]  # torch leaves it untyped
            self.mean = AveragedModel(network, multi_avg_fn=decay)
        self.numbers = numbers
        self.value_columns = tuple(numbers.columns) if numbers else ()
        self.register_buffer("id_columns", id_columns, persistent=False)
        self._exclusive_width = next((embedding.width for embedding in exclusive.values()), 0)

    def scale(self, statistics: Statistics) -> None:
        if self.numbers:
            self.numbers.scale(statistics)

    def after_step(self) -> None:
        if self.mean:
            self.mean.update_parameters(self.network)

    def maskable_weights(self) -> dict[str, Tensor]:
        return cast(SparseSharing, self.network).maskable_weights()

    def logits(self, batch: Batch, heads: Sequence[str]) -> dict[str, Tensor]:
        chosen = self.mean if self.mean and not self.training else self.network
        found: dict[str, Tensor] = {}
        for x, seen_by in self._inputs(batch, heads):
            found |= {head: output.squeeze(-1) for head, output in chosen(x, seen_by).items()}
        return found

    def _inputs(self, batch: Batch, heads: Sequence[str]) -> Iterator[tuple[Tensor, list[str]]]:
        """Each distinct input [B, width] once, with the heads that see it."""
        ids = batch.ids if self.id_columns is None else batch.ids[:, self.id_columns]
        for name, embedding in self.embeddings.items():
            of_embedding = list(heads) if name == SHARED else [head for head in heads if head == name]
            if not of_embedding:
                continue
            x = self.cross(embedding(ids))
            if self.numbers:
                x = torch.cat([x, self.numbers(batch.values)], 1)
            if not self.exclusive:
                yield x, of_embedding
                continue
            own = {head: self.exclusive[head](ids).flatten(1) for head in of_embedding if head in self.exclusive}
            for head, vectors in own.items():
                yield torch.cat([x, vectors], 1), [head]
            if others := [head for head in of_embedding if head not in own]:
                yield F.pad(x, (0, self._exclusive_width)), others


def network_width(model: RankerModel, settings: Settings) -> int:
    """Numbers a row that the network above the embeddings sees."""
    embedded = _embedded(model, settings)
    as_they_are = len(settings.features) - len(embedded)
    return Cross(embedded, model.embedding_dim).width + as_they_are + len(embedded) * model.exclusive_dim


def _embedded(model: RankerModel, settings: Settings) -> list[Feature]:
    return [feature for feature in settings.features if model.numeric == "bucketed" or feature.kind != "numeric"]


def build(
    model: RankerModel, settings: Settings, sizes: Mapping[str, int], seed: int, masks: Mapping[str, Mask] | None = None
) -> Ranker:
    """A freshly initialised ranker; equal seeds give equal weights. Without masks, sNET is dense for every head."""

    def embedding(dim: int, name: str) -> Embedding:
        return Embedding(embedded, sizes, dim, seed, f"embedding/{name}")

    heads, embedded = model.heads, _embedded(model, settings)
    names = heads if model.sharing == "single" else (SHARED,)
    embeddings = {name: embedding(model.embedding_dim, name) for name in names}
    exclusive = {head: embedding(model.exclusive_dim, f"exclusive/{head}") for head in model.exclusive}
    cross = Cross(embedded, model.embedding_dim)
    width = network_width(model, settings)
    layers = network(model, [width, *model.hidden, 1], heads, seed, masks)
    if model.numeric == "bucketed":
        return Ranker(heads, embeddings, cross, exclusive, layers, model.ema_decay)
    columns = columns_of(settings.features)
    id_columns = torch.tensor([columns.index(column) for column in columns_of(embedded)])
    numbers = Numbers(settings.features)
    return Ranker(heads, embeddings, cross, exclusive, layers, model.ema_decay, numbers, id_columns)
