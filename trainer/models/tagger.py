"""The tagger: a user tower and a tag tower, for interest (click), intention (conversion after a click) and others."""

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from conf.settings.model_file import TaggerModel
from conf.settings.run_file import Feature, Settings
from etl.contract import FIRST_VALUE, PADDING, columns_of, feature_columns
from trainer.data.batch import Batch
from trainer.models.base import TaskModel
from trainer.parts.embedding import Embedding
from trainer.parts.mask import Mask
from trainer.parts.mvke import ProductGate, VirtualKernelExperts, VirtualKernelGate
from trainer.parts.network import network
from trainer.parts.two_tower import CosineScore, TagTower
from trainer.parts.user_tower import MixtureOfExperts, OneVector, UserTower
from trainer.seeding import seed_of

SHARED = "shared"
NEGATIVES_PER_BATCH = 64  # tags for a batch


class TwoTowers(nn.Module):
    """Embeddings, both towers and the score, for the heads of `user_tower`."""

    def __init__(
        self, users: Embedding, tags: Embedding, user_tower: UserTower, tag_tower: TagTower, score: CosineScore
    ) -> None:
        super().__init__()
        self.user_embedding = users
        self.tag_embedding = tags
        self.user_tower = user_tower
        self.tag_tower = tag_tower
        self.score = score


class Tagger(TaskModel):
    """Two towers for all heads, or two for each (sharing = "single").

    A row without any tag has logit 0 (a zero vector has cosine 0 with everything); rows none of whose tags is
    known are left out of training by trainer/objectives/objective.py.
    """

    user_columns: Tensor
    tag_columns: Tensor

    def __init__(
        self,
        heads: Sequence[str],
        towers: Mapping[str, TwoTowers],
        features: Sequence[Feature],
        tag: Feature,
        negatives: float = 0.0,
    ) -> None:
        """negatives: see auxiliary_loss."""
        super().__init__()
        self.negatives = negatives
        self.heads = tuple(heads)
        self.towers = nn.ModuleDict(towers)
        self._tag = tag
        columns = columns_of(features)
        users = columns_of(feature for feature in features if feature.table == "users")
        self.register_buffer("user_columns", _positions(users, columns), persistent=False)
        self.register_buffer("tag_columns", _positions(feature_columns(tag), columns), persistent=False)

    def maskable_weights(self) -> dict[str, Tensor]:
        return self.of(self.heads[0]).user_tower.maskable_weights()

    def of(self, head: str) -> TwoTowers:
        """The towers that serve a head."""
        return cast(TwoTowers, self.towers[head if head in self.towers else SHARED])

    def auxiliary_loss(self, batch: Batch, heads: Sequence[str], random: torch.Generator) -> Tensor | float:
        """Of tags drawn at random, each as often as any other, nothing comes for the users of the batch.

        As if each row came with `negatives` more of its user and a random tag, labelled 0 (MVKE section 5.1, step 2).
        All users of a batch get the same tags, so that every tower runs once for many pairs.
        """
        known = self.of(self.heads[0]).tag_embedding.sizes[self._tag.name] - FIRST_VALUE
        if not self.negatives or not known:
            return 0.0
        tags = FIRST_VALUE + torch.randperm(known, generator=random)[:NEGATIVES_PER_BATCH].to(batch.ids.device)
        users = batch.ids[:, self.user_columns]
        return (
            self.negatives * torch.stack([F.softplus(self.all_pairs(users, tags, head)).mean() for head in heads]).sum()
        )

    def all_pairs(self, users: Tensor, tags: Tensor, head: str) -> Tensor:
        """Ids of user features [U, C_users] and tag ids [T] -> logits [U, T], each as `logits` of that single tag."""
        vectors = self.tag_vectors(self.single_tags(tags), head)
        mixed = torch.einsum("tk,ukd->utd", self.gate(vectors, head), self.user_vectors(users, head))
        logits: Tensor = self.of(head).score(mixed, vectors)
        return logits

    def logits(self, batch: Batch, heads: Sequence[str]) -> dict[str, Tensor]:
        """Each [B]: scale * cos(E_u for the row's tags, E_T), eq. 7 and 2."""
        found = {}
        for head in heads:
            tags = self.tag_vectors(batch.ids[:, self.tag_columns], head)
            vectors = self.user_vectors(batch.ids[:, self.user_columns], head)
            users = (self.gate(tags, head).unsqueeze(1) @ vectors).squeeze(1)
            found[head] = self.of(head).score(users, tags)
        return found

    def user_vectors(self, ids: Tensor, head: str) -> Tensor:
        """Ids of the user features [U, C_users] (columns of etl.contract.users_schema) -> [U, K, D]."""
        towers = self.of(head)
        vectors: Tensor = towers.user_tower(towers.user_embedding(ids), head)
        return vectors

    def tag_vectors(self, ids: Tensor, head: str) -> Tensor:
        """Ids of the tag feature [T, length] -> E_T [T, D]."""
        towers = self.of(head)
        vectors: Tensor = towers.tag_tower(towers.tag_embedding(ids).squeeze(1))
        return vectors

    def gate(self, tags: Tensor, head: str) -> Tensor:
        """Tag vectors [T, D] -> how much each of the user's K vectors counts [T, K]; rows sum to 1."""
        return self.of(head).user_tower.gate(tags, head)

    def gate_weights(self, ids: Sequence[int]) -> dict[str, NDArray[np.float32]]:
        """Tag ids [T] -> head -> weights [T, VKEs], zero for those that do not serve it (figure 8)."""
        shown = {}
        with torch.inference_mode():
            single = self.single_tags(torch.tensor(list(ids), device=self.tag_columns.device))
            for head in self.heads:
                tower = self.of(head).user_tower
                shown[head] = np.zeros((len(ids), tower.count), dtype=np.float32)
                shown[head][:, tower.places(head)] = self.gate(self.tag_vectors(single, head), head).cpu().numpy()
        return shown

    def single_tags(self, ids: Tensor) -> Tensor:
        """Tag ids [T] -> ids [T, length] of items that carry just that one tag (eq. 3)."""
        alone = torch.full((len(ids), self._tag.length), PADDING, dtype=torch.int64, device=ids.device)
        alone[:, 0] = ids
        return alone


def build(
    model: TaggerModel, settings: Settings, sizes: Mapping[str, int], seed: int, masks: Mapping[str, Mask] | None = None
) -> Tagger:
    """A tagger with fresh weights; `sizes` is the number of ids of each feature (the vocabulary's manifest)."""
    users = [feature for feature in settings.features if feature.table == "users"]
    tag = next(feature for feature in settings.features if feature.name == settings.tagger.tag_feature)

    def towers(heads: Sequence[str], seed: int) -> TwoTowers:
        return TwoTowers(
            Embedding(users, sizes, model.embedding_dim, seed, "users"),
            Embedding([tag], sizes, model.embedding_dim, seed, "tags"),
            _user_tower(model, len(users), heads, seed, masks),
            TagTower(model.embedding_dim, model.output_dim, seed),
            CosineScore(model.scale == "learned"),
        )

    if model.sharing == "single":
        apart = {head: towers([head], seed_of(seed, "tagger of one task", head)) for head in model.heads}
        return Tagger(model.heads, apart, settings.features, tag, model.negatives)
    return Tagger(model.heads, {SHARED: towers(model.heads, seed)}, settings.features, tag, model.negatives)


def _user_tower(
    model: TaggerModel, fields: int, heads: Sequence[str], seed: int, masks: Mapping[str, Mask] | None
) -> UserTower:
    pairs = model.interaction == "fm"
    if not model.virtual_kernels:
        width = (fields + pairs) * model.embedding_dim
        layers = network(model, [width, *model.hidden, model.output_dim], heads, seed, masks)
        return OneVector(layers, pairs=pairs)
    experts = VirtualKernelExperts(
        model.virtual_kernels,
        fields,
        model.embedding_dim,
        model.attention_dim,
        model.hidden,
        model.output_dim,
        seed,
        residual=model.attention == "residual",
        pairs=pairs,
    )

    def gate(head: str) -> nn.Module:
        if model.gate == "product":
            return ProductGate()
        return VirtualKernelGate(model.output_dim, model.attention_dim, seed, f"vkg/{head}")

    which = {head: model.experts_of(head) for head in heads}
    return MixtureOfExperts(experts, which, {head: gate(head) for head in heads}, masks)


def _positions(some: Sequence[str], columns: Sequence[str]) -> Tensor:
    return torch.tensor([columns.index(column) for column in some])
