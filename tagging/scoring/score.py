"""All users against all tags: each user's best tags, and all pairs that reach a score."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from tagging.scoring.calibration import RAW, Calibration
from tagging.scoring.export import SMALLEST_NORM, Export, TaskMatrices
from tagging.scoring.top_k import top_k

# Limits of a batch: its users, and its users x tags, which should fit a cache of a few MB
BATCH_USERS = 4096
BATCH_CELLS = 2**20


@dataclass(frozen=True)
class TopTags:
    """The tags kept, best first: row n says that user `user[n]` has tag `tag[n]` at `rank[n]` (1, 2, ..).

    user: index into the scored users. tag: index into Export.tag_ids. score: calibrated, float32.
    """

    user: Tensor
    tag: Tensor
    rank: Tensor
    score: Tensor


@dataclass(frozen=True)
class Scores:
    """A batch of users against all tags. cosines: [U, T], in memory that the next batch overwrites (score_batches).

    first_user: index of the batch's first user among all scored users.
    """

    first_user: int
    cosines: Tensor
    scale: float
    calibration: Calibration

    def top(self, count: int, min_score: float) -> TopTags:
        """Each user's best tags: at most `count`, none that scores below min_score.

        Tags are ordered by the cosine, so the order does not depend on the calibration.
        """
        cosine, tag = top_k(self.cosines, count)
        score = self.calibration(self.scale * cosine)
        user, position = (score >= min_score).nonzero(as_tuple=True)
        return TopTags(user + self.first_user, tag[user, position], position + 1, score[user, position])

    def at_least(self, min_score: float) -> tuple[Tensor, Tensor, Tensor]:
        """User, tag and score (as in TopTags) of every pair that scores min_score or more."""
        score = self.calibration(self.scale * self.cosines)
        user, tag = (score >= min_score).nonzero(as_tuple=True)
        return user + self.first_user, tag, score[user, tag]


class Buffers:
    """Memory for batches of users x tags, allocated once: fresh pages for every batch cost as much as the products."""

    def __init__(self, users: int, tags: int) -> None:
        self.dots = torch.empty(users, tags)
        self.squares = torch.empty(users, tags, dtype=torch.float64)
        self.norms = torch.empty(users, tags)


def cosines(vectors: Tensor, matrices: TaskMatrices, buffers: Buffers | None = None) -> Tensor:
    """User vectors [U, K, D] -> cos(E_u for tag t, E_t) [U, T], by the two products, or by one where K is 1.

    With `buffers` the result lies in them, and the next call overwrites it.
    """
    users, count, _ = vectors.shape
    buffers = buffers or Buffers(users, matrices.products.shape[1])
    dots = torch.mm(vectors.flatten(1), matrices.products, out=buffers.dots[:users])
    # in double precision: where a user's vectors nearly cancel, the square loses twice the digits that the vector does
    exact = vectors.double()
    first, second = torch.triu_indices(count, count)
    gram = (exact @ exact.transpose(1, 2))[:, first, second]
    if count == 1:
        norms = gram.float()  # the same for every tag
    else:
        squares = torch.mm(gram, matrices.squares, out=buffers.squares[:users])
        norms = buffers.norms[:users].copy_(squares)  # rounded only after all cancellation
    return dots.div_(norms.clamp_(min=SMALLEST_NORM**2).sqrt_())


def score_batches(export: Export, ids: Tensor, task: str, calibration: Calibration = RAW) -> Iterator[Scores]:
    """Scores the users with these feature ids [U, C_users], batch by batch; each batch overwrites the one before."""
    matrices = export.tasks[task]
    batch = max(1, min(BATCH_USERS, BATCH_CELLS // len(export.tag_ids)))
    buffers = Buffers(min(batch, len(ids)), len(export.tag_ids))
    for start in range(0, len(ids), batch):
        with torch.inference_mode():
            vectors = export.tagger.user_vectors(ids[start : start + batch], task)
            found = cosines(vectors, matrices, buffers)
        yield Scores(start, found, matrices.scale, calibration)


def top_tags(export: Export, ids: Tensor, task: str, count: int, min_score: float) -> TopTags:
    """The best tags of the users with these feature ids [U, C_users], by raw scores; see Scores.top."""
    return concatenate([scores.top(count, min_score) for scores in score_batches(export, ids, task)])


def concatenate(parts: Sequence[TopTags]) -> TopTags:
    return TopTags(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(TopTags)))
