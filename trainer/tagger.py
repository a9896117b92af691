"""The tagger: MVKE for interest (click) and intention (conversion after a click), assembled from its settings."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from conf.models import TaggerModel
from conf.settings import Feature, Settings
from etl.contract import PADDING, columns_of, feature_columns
from trainer.batch import Batch
from trainer.parts.embedding import Embedding
from trainer.parts.mvke import VirtualKernelExperts, VirtualKernelGate
from trainer.parts.two_tower import CosineScore, TagTower
from trainer.task_model import TaskModel


class Tagger(TaskModel):
    """Two towers with MVKE between them. The tasks share the embeddings, the tag tower and some of the experts.

    A row without any tag has logit 0 (a zero vector has cosine 0 with everything); rows none of whose tags is
    known are left out of training by trainer/objective.py.
    """

    user_columns: Tensor
    tag_columns: Tensor

    def __init__(
        self, model: TaggerModel, features: Sequence[Feature], tag_feature: str, sizes: Mapping[str, int], seed: int
    ) -> None:
        super().__init__()
        user_features = [f for f in features if f.table == "users"]
        tag = next(f for f in features if f.name == tag_feature)
        columns = columns_of(features)
        self.heads = tuple(model.assignment)
        # experts of each task, counted from 0
        self.experts_of: dict[str, tuple[int, ...]] = {
            task: tuple(k - 1 for k in experts) for task, experts in model.assignment.items()
        }
        self.user_embedding = Embedding(user_features, sizes, model.embedding_dim, seed, "users")
        self.tag_embedding = Embedding([tag], sizes, model.embedding_dim, seed, "tags")
        self.experts = VirtualKernelExperts(
            model.experts, model.embedding_dim, model.attention_dim, model.hidden, model.output_dim, seed
        )
        self.tag_tower = TagTower(model.embedding_dim, model.output_dim, seed)
        self.gates = nn.ModuleDict(
            {task: VirtualKernelGate(model.output_dim, model.attention_dim, seed, f"vkg/{task}") for task in self.heads}
        )
        self.score = CosineScore(model.scale == "learned")
        self._tag_length = tag.length
        self.register_buffer("user_columns", _positions(columns_of(user_features), columns), persistent=False)
        self.register_buffer("tag_columns", _positions(feature_columns(tag), columns), persistent=False)

    def logits(self, batch: Batch, heads: Sequence[str]) -> dict[str, Tensor]:
        """Each [B]: scale * cos(E_u for the row's tags, E_T), eq. 7 and 2."""
        tags = self.tag_vectors(batch.ids[:, self.tag_columns])
        found = {}
        for task in heads:
            experts = self.user_vectors(batch.ids[:, self.user_columns], self.experts_of[task])
            users = (self.gate(tags, task).unsqueeze(1) @ experts).squeeze(1)
            found[task] = self.score(users, tags)
        return found

    def user_vectors(self, ids: Tensor, experts: Sequence[int]) -> Tensor:
        """Ids of the user features [U, C_users] (columns of etl.contract.users_schema) -> VKE outputs [U, K, D]."""
        vectors: Tensor = self.experts(self.user_embedding(ids), experts)
        return vectors

    def tag_vectors(self, ids: Tensor) -> Tensor:
        """Ids of the tag feature [T, length] -> E_T [T, D]."""
        vectors: Tensor = self.tag_tower(self.tag_embedding(ids).squeeze(1))
        return vectors

    def gate(self, tags: Tensor, task: str) -> Tensor:
        """Tag vectors [T, D] -> weights [T, K] of the task's experts, in the order of `experts_of[task]`."""
        weights: Tensor = self.gates[task](tags, self.experts.kernels[list(self.experts_of[task])])
        return weights

    def gate_weights(self, ids: Sequence[int]) -> dict[str, NDArray[np.float32]]:
        """Tag ids [T] -> task -> weights [T, experts], zero for the experts that do not serve the task (figure 8)."""
        shown = {}
        with torch.inference_mode():
            tags = self.tag_vectors(self.single_tags(torch.tensor(list(ids), device=self.tag_columns.device)))
            for task, experts in self.experts_of.items():
                shown[task] = np.zeros((len(tags), len(self.experts.kernels)), dtype=np.float32)
                shown[task][:, list(experts)] = self.gate(tags, task).cpu().numpy()
        return shown

    def single_tags(self, ids: Tensor) -> Tensor:
        """Tag ids [T] -> ids [T, length] of items that carry just that one tag (eq. 3)."""
        alone = torch.full((len(ids), self._tag_length), PADDING, dtype=torch.int64, device=ids.device)
        alone[:, 0] = ids
        return alone


def build(model: TaggerModel, settings: Settings, sizes: Mapping[str, int], seed: int) -> Tagger:
    """A tagger with fresh weights; `sizes` is the number of ids of each feature (the vocabulary's manifest)."""
    return Tagger(model, settings.features, settings.tagger.tag_feature, sizes, seed)


def _positions(some: Sequence[str], columns: Sequence[str]) -> Tensor:
    return torch.tensor([columns.index(column) for column in some])
