"""All users against all tags: the best tags of each user, and all that reach a score."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from tagging.scoring.calibration import RAW, Calibration
from tagging.scoring.export import SMALLEST_NORM, Export, TaskMatrices

# at once: this many users, and no more users x tags than this, which lie in a cache of some MB, whatever the numbers
USERS = 4096
CELLS = 2**20


@dataclass(frozen=True)
class TopTags:
    """The tags kept, best first: row n says that user `user[n]` has tag `tag[n]` at `rank[n]` (1, 2, ..).

    user: index into the users given. tag: index into Export.tag_ids. score: scale * cos, calibrated, float32.
    """

    user: Tensor
    tag: Tensor
    rank: Tensor
    score: Tensor


@dataclass(frozen=True)
class Scores:
    """Some users against all tags: cosines [U, T], which lie in memory that the next ones take; see `scored`.

    first: the place of the first of them among the users given.
    """

    first: int
    cosines: Tensor
    scale: float
    calibration: Calibration

    def top(self, top_k: int, min_score: float) -> TopTags:
        """The best tags of each user: at most top_k, none below min_score.

        Best by the cosine, so that the order does not depend on the calibration.
        """
        cosine, tag = best(self.cosines, top_k)
        score = self.calibration(self.scale * cosine)
        user, place = (score >= min_score).nonzero(as_tuple=True)
        return TopTags(user + self.first, tag[user, place], place + 1, score[user, place])

    def above(self, min_score: float) -> tuple[Tensor, Tensor, Tensor]:
        """Every pair that scores min_score or more: user, tag and score as in TopTags."""
        score = self.calibration(self.scale * self.cosines)
        user, tag = (score >= min_score).nonzero(as_tuple=True)
        return user + self.first, tag, score[user, tag]


class Space:
    """Memory for blocks of users x tags, taken once: fresh pages for every block cost as much as the products."""

    def __init__(self, users: int, tags: int) -> None:
        self.dots = torch.empty(users, tags)
        self.squares = torch.empty(users, tags, dtype=torch.float64)
        self.norms = torch.empty(users, tags)


def cosines(vectors: Tensor, matrices: TaskMatrices, space: Space | None = None) -> Tensor:
    """The users' vectors [U, K, D] -> cos(E_u for tag t, E_t) [U, T], by the two products, or one where K is 1.

    With space, the result lies in it and is gone with the next call.
    """
    users, count, _ = vectors.shape
    space = space or Space(users, matrices.products.shape[1])
    dots = torch.mm(vectors.flatten(1), matrices.products, out=space.dots[:users])
    # in double precision: where a user's vectors nearly cancel, the square loses twice the digits that the vector does
    exact = vectors.double()
    first, second = torch.triu_indices(count, count)
    gram = (exact @ exact.transpose(1, 2))[:, first, second]
    if count == 1:
        norms = gram.float()  # for every tag
    else:
        squares = torch.mm(gram, matrices.squares, out=space.squares[:users])
        norms = space.norms[:users].copy_(squares)  # rounded after all has cancelled that can
    return dots.div_(norms.clamp_(min=SMALLEST_NORM**2).sqrt_())


def top_tags(export: Export, ids: Tensor, task: str, top_k: int, min_score: float) -> TopTags:
    """The best tags of the users with these feature ids [U, C_users], uncalibrated; see Scores.top."""
    return joined([scores.top(top_k, min_score) for scores in scored(export, ids, task)])


def joined(parts: Sequence[TopTags]) -> TopTags:
    return TopTags(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(TopTags)))


def scored(export: Export, ids: Tensor, task: str, calibration: Calibration = RAW) -> Iterator[Scores]:
    """The users with these feature ids [U, C_users], a batch at a time; one batch is gone with the next."""
    matrices = export.tasks[task]
    batch = max(1, min(USERS, CELLS // len(export.tag_ids)))
    space = Space(min(batch, len(ids)), len(export.tag_ids))
    for start in range(0, len(ids), batch):
        with torch.inference_mode():
            vectors = export.tagger.user_vectors(ids[start : start + batch], task)
            found = cosines(vectors, matrices, space)
        yield Scores(start, found, matrices.scale, calibration)


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
