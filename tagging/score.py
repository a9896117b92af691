"""All users against all tags, and the best tags of each user."""

from dataclasses import dataclass

import torch
from torch import Tensor

from tagging.export import SMALLEST_NORM, Export, TaskMatrices

# at once: this many users, and no more users x tags than this; bounds memory to some 100 MB for any number of either
USERS = 4096
CELLS = 2**22


@dataclass(frozen=True)
class TopTags:
    """The tags kept, best first: row n says that user `user[n]` has tag `tag[n]` at `rank[n]` (1, 2, ..).

    user: index into the users given. tag: index into Export.tag_ids. score: sigmoid(scale * cos), float32.
    """

    user: Tensor
    tag: Tensor
    rank: Tensor
    score: Tensor


def cosines(vectors: Tensor, matrices: TaskMatrices) -> Tensor:
    """VKE outputs of the task's experts [U, K, D] -> cos(E_u for tag t, E_t) [U, T], by the two products."""
    dots = vectors.flatten(1) @ matrices.products
    # in double precision: where a user's vectors nearly cancel, the square loses twice the digits that the vector does
    exact = vectors.double()
    first, second = torch.triu_indices(len(matrices.experts), len(matrices.experts))
    gram = (exact @ exact.transpose(1, 2))[:, first, second]
    norms = (gram @ matrices.squares).clamp_(min=SMALLEST_NORM**2).sqrt_()
    return dots.div_(norms)


def top_tags(export: Export, ids: Tensor, task: str, top_k: int, min_score: float) -> TopTags:
    """The best tags of the users with these feature ids [U, C_users]: at most top_k each, none below min_score."""
    matrices = export.tasks[task]
    batch = max(1, min(USERS, CELLS // len(export.tag_ids)))
    parts = []
    with torch.inference_mode():
        for start in range(0, len(ids), batch):
            vectors = export.tagger.user_vectors(ids[start : start + batch], matrices.experts)
            cosine, tag = best(cosines(vectors, matrices), top_k)
            score = torch.sigmoid(matrices.scale * cosine)
            user, place = (score >= min_score).nonzero(as_tuple=True)
            parts.append(TopTags(user + start, tag[user, place], place + 1, score[user, place]))
    return TopTags(*(torch.cat([getattr(p, f) for p in parts]) for f in ("user", "tag", "rank", "score")))


def best(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of each row, float32 [U, T] -> values and columns [U, k], best first; ties: lower column first."""
    k = min(k, values.shape[1])
    found, column = values.topk(min(k + 1, values.shape[1]), dim=1)
    tied = (found[:, 1:] == found[:, :-1]).any(dim=1)  # among the k, or across the cut: topk leaves their order open
    column = column[:, :k].clone()
    column[tied] = _best_of_tied(values[tied], k)
    return values.gather(1, column), column


def _best_of_tied(values: Tensor, k: int) -> Tensor:
    """Columns [U, k] by value and then by column, packed into one int64 that orders as the pair does."""
    tags = values.shape[1]
    bits = (values + 0.0).view(torch.int32)  # + 0.0 turns -0.0 into 0.0
    ordered = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).to(torch.int64)
    keys = (ordered << 32) | torch.arange(tags - 1, -1, -1)
    return tags - 1 - (keys.topk(k, dim=1).values & 0xFFFFFFFF)
