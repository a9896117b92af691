"""The tagger (MVKE): a user tower and a tag tower for interest (clicks), intention (conversions) and other actions."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from conf.settings.model_file import TaggerModel
from conf.settings.run_file import Feature
from conf.settings.sharing import Mvke, MvkeSingle, MvkeSparse
from etl.contract import FIRST_VALUE, PADDING
from trainer.data.batch import Batch
from trainer.data.layout import Layout
from trainer.models.base import TaskModel
from trainer.parts.embedding import Embedding
from trainer.parts.mask import Mask
from trainer.parts.mvke import ProductGate, VirtualKernelExperts, VirtualKernelGate
from trainer.parts.network import build_network
from trainer.parts.routing import ByCluster, ClusterReport, places
from trainer.parts.two_tower import CosineScore, TagTower
from trainer.parts.user_tower import MixtureOfExperts, OneVector, UserTower
from trainer.seeding import seed_of

SHARED = "shared"
NEGATIVES_PER_BATCH = 64  # tags


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
    """Two towers for all heads, or two for each head.

    A row without any tag has logit 0, since a zero vector has cosine 0 with everything. Rows none of whose tags is
    known are excluded from training (trainer/objectives/tagging.py).
    """

    user_columns: Tensor
    tag_columns: Tensor

    def __init__(
        self,
        heads: Sequence[str],
        towers: Mapping[str, TwoTowers],
        layout: Layout,
        tag: Feature,
        negatives: float = 0.0,
    ) -> None:
        """towers: by head, or one for all as SHARED. negatives: see auxiliary_loss."""
        super().__init__()
        self.negatives = negatives
        self.heads = tuple(heads)
        self.towers = nn.ModuleDict(towers)
        self._towers_of = {head: towers.get(head) or towers[SHARED] for head in heads}
        self._tag = tag
        users = torch.tensor(layout.positions(layout.of_table("users")))
        self.register_buffer("user_columns", users, persistent=False)
        self.register_buffer("tag_columns", torch.tensor(layout.positions([tag])), persistent=False)

    def maskable_weights(self) -> dict[str, Tensor]:
        return self.towers_of(self.heads[0]).user_tower.maskable_weights()

    @property
    def observes(self) -> bool:
        return any(towers.user_tower.observes for towers in self._towers_of.values())

    @torch.no_grad()
    def observe(self, batch: Batch, whole: float) -> None:
        ids = batch.ids[:, self.user_columns]
        for towers in dict.fromkeys(self._towers_of.values()):  # each once, also when all heads share them
            towers.user_tower.observe(towers.user_embedding(ids), whole)

    def clusters(self) -> dict[str, ClusterReport]:
        towers = {SHARED: self._towers_of[self.heads[0]]} if SHARED in self.towers else self._towers_of
        return {name: report for name, each in towers.items() if (report := each.user_tower.clusters())}

    def towers_of(self, head: str) -> TwoTowers:
        """The towers that serve a head."""
        return self._towers_of[head]

    def auxiliary_loss(self, batch: Batch, heads: Sequence[str], random: torch.Generator) -> Tensor | float:
        """The loss of randomly sampled tags as negatives for the batch's users (MVKE section 5.1, step 2).

        As if each row came with `negatives` more rows of its user and a random tag, labelled 0. All users of a batch
        get the same tags, so that every tower runs once for many pairs.
        """
        known = self.towers_of(self.heads[0]).tag_embedding.sizes[self._tag.name] - FIRST_VALUE
        if not self.negatives or not known:
            return 0.0
        tags = FIRST_VALUE + torch.randperm(known, generator=random)[:NEGATIVES_PER_BATCH].to(batch.ids.device)
        users = batch.ids[:, self.user_columns]
        losses = [F.softplus(self.all_pairs(users, tags, head)).mean() for head in heads]
        return self.negatives * torch.stack(losses).sum()

    def all_pairs(self, users: Tensor, tags: Tensor, head: str) -> Tensor:
        """Ids of user features [U, C_users] and tag ids [T] -> logits [U, T], as `logits` of each single tag."""
        vectors = self.tag_vectors(self.single_tags(tags), head)
        mixed = torch.einsum("tk,ukd->utd", self.gate(vectors, head), self.user_vectors(users, head))
        logits: Tensor = self.towers_of(head).score(mixed, vectors)
        return logits

    def logits(self, batch: Batch, heads: Sequence[str]) -> dict[str, Tensor]:
        """Each [B]: scale * cos(E_u for the row's tags, E_T), MVKE eq. 7 and 2."""
        found = {}
        for head in heads:
            tags = self.tag_vectors(batch.ids[:, self.tag_columns], head)
            vectors = self.user_vectors(batch.ids[:, self.user_columns], head)
            users = (self.gate(tags, head).unsqueeze(1) @ vectors).squeeze(1)
            found[head] = self.towers_of(head).score(users, tags)
        return found

    def user_vectors(self, ids: Tensor, head: str) -> Tensor:
        """Ids of the user features [U, C_users], in the layout's order -> user vectors [U, K, D]."""
        towers = self.towers_of(head)
        vectors: Tensor = towers.user_tower(towers.user_embedding(ids), head)
        return vectors

    def tag_vectors(self, ids: Tensor, head: str) -> Tensor:
        """Ids of the tag feature [T, length] -> E_T [T, D]."""
        towers = self.towers_of(head)
        vectors: Tensor = towers.tag_tower(towers.tag_embedding(ids).squeeze(1))
        return vectors

    def gate(self, tags: Tensor, head: str) -> Tensor:
        """Tag vectors [T, D] -> how much each of the user's K vectors counts [T, K]; rows sum to 1."""
        return self.towers_of(head).user_tower.gate(tags, head)

    def gate_weights(self, ids: Sequence[int]) -> dict[str, NDArray[np.float32]]:
        """Tag ids [T] -> head -> weights [T, VKEs], zero for VKEs that do not serve the head (MVKE figure 8)."""
        shown = {}
        with torch.inference_mode():
            single = self.single_tags(torch.tensor(list(ids), device=self.tag_columns.device))
            for head in self.heads:
                tower = self.towers_of(head).user_tower
                shown[head] = np.zeros((len(ids), tower.count), dtype=np.float32)
                weights = self.gate(self.tag_vectors(single, head), head).cpu().numpy()
                shown[head][:, tower.vectors_of(head)] = weights
        return shown

    def single_tags(self, ids: Tensor) -> Tensor:
        """Tag ids [T] -> ids [T, length] of items that carry only that tag (MVKE eq. 3)."""
        alone = torch.full((len(ids), self._tag.length), PADDING, dtype=torch.int64, device=ids.device)
        alone[:, 0] = ids
        return alone


def build_tagger(
    model: TaggerModel,
    layout: Layout,
    tag: Feature,
    domain: Feature | None,
    sizes: Mapping[str, int],
    seed: int,
    masks: Mapping[str, Mask] | None = None,
) -> Tagger:
    """A freshly initialised tagger; sizes: number of ids of each feature (the vocabulary's manifest).

    domain: the feature that tells domains apart, if there is one.
    """
    users, dim = layout.of_table("users"), model.embedding.dim

    def towers(heads: Sequence[str], seed: int) -> TwoTowers:
        return TwoTowers(
            Embedding(users, sizes, dim, seed, "users"),
            Embedding([tag], sizes, dim, seed, "tags"),
            _user_tower(model, users, domain, heads, seed, masks),
            TagTower(dim, model.output_dim, seed),
            CosineScore(model.scale == "learned"),
        )

    if model.sharing.kind in ("single", "mvke_single"):
        separate = {head: towers([head], seed_of(seed, "tagger of one task", head)) for head in model.heads}
        return Tagger(model.heads, separate, layout, tag, model.negatives)
    return Tagger(model.heads, {SHARED: towers(model.heads, seed)}, layout, tag, model.negatives)


def _user_tower(
    model: TaggerModel,
    users: Sequence[Feature],
    of_domain: Feature | None,
    heads: Sequence[str],
    seed: int,
    masks: Mapping[str, Mask] | None,
) -> UserTower:
    sharing, pairs = model.sharing, model.interaction == "fm"
    if sharing.kind == "mvke" or sharing.kind == "mvke_single" or sharing.kind == "mvke_sparse":
        return _mvke(model, sharing, len(users), heads, seed, masks)
    dim, domain = model.embedding.dim, model.domain
    width = (len(users) + pairs) * dim
    if domain.kind == "none":
        return OneVector(build_network(sharing, width, model.output_dim, heads, seed, masks), pairs=pairs)
    network = build_network(sharing, width, model.output_dim, heads, seed, masks, range(domain.clusters))
    routing = ByCluster(places(users, domain.route_by, of_domain), dim, domain.clusters, domain.min_share, seed)
    return OneVector(network, pairs=pairs, routing=routing)


def _mvke(
    model: TaggerModel,
    sharing: Mvke | MvkeSingle | MvkeSparse,
    fields: int,
    heads: Sequence[str],
    seed: int,
    masks: Mapping[str, Mask] | None,
) -> MixtureOfExperts:
    experts = VirtualKernelExperts(
        sharing.virtual_kernels,
        fields,
        model.embedding.dim,
        sharing.attention_dim,
        sharing.hidden,
        model.output_dim,
        seed,
        residual=sharing.attention == "residual",
        pairs=model.interaction == "fm",
    )

    def gate(head: str) -> nn.Module:
        if sharing.gate == "product":
            return ProductGate()
        return VirtualKernelGate(model.output_dim, sharing.attention_dim, seed, f"vkg/{head}")

    everything = range(1, sharing.virtual_kernels + 1)
    assigned = sharing.assignment if sharing.kind == "mvke" else dict.fromkeys(heads, everything)
    experts_of = {head: [expert - 1 for expert in assigned[head]] for head in heads}
    return MixtureOfExperts(experts, experts_of, {head: gate(head) for head in heads}, masks)
