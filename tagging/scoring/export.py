"""What scoring needs of a trained tagger: its user tower, and two matrices for each task.

MVKE's user vector for tag t is u_t = sum_k a_tk V_k (MVKE eq. 7), with a gate a that does not depend on the user. So

    u_t . e_t = [V_1 .. V_K] . (a_t outer e_t)                 a product [U, K*D] @ [K*D, T]
    |u_t|^2   = sum_ij a_ti a_tj (V_i . V_j)                   a product [U, K(K+1)/2] @ [K(K+1)/2, T]

and cos(u_t, e_t) (MVKE eq. 2) follows exactly, without a vector for each pair of user and tag. Where a user has one
vector, K = 1, its gate is 1 and so are all squares, and the first product is enough.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from etl.contract import PADDING, UNSEEN
from trainer.models.tagger import Tagger

# smaller norms count as this, so the cosine of a zero vector is 0 (as in torch.nn.functional.cosine_similarity)
SMALLEST_NORM = 1e-8


@dataclass(frozen=True)
class TaskMatrices:
    """Everything about T tags for one task, for which a user has K vectors.

    products: float32 [K*D, T]; column t is a_t outer e_t / |e_t|.
    squares: float64 [K(K+1)/2, T] over the pairs i <= j: a_ti * a_tj, doubled where i < j.
    scale: factor from cosine to logit.
    """

    products: Tensor
    squares: Tensor
    scale: float


@dataclass(frozen=True)
class Export:
    """A trained tagger, ready to score; made once and sent to every worker. tag_ids: vocabulary ids of the T tags."""

    tagger: Tagger
    tag_ids: Tensor
    tasks: dict[str, TaskMatrices]


def export(tagger: Tagger, tag_ids: Sequence[int]) -> Export:
    """Exports a tagger on the CPU for the tags with these vocabulary ids; raises ValueError for padding and unseen."""
    if wrong := [n for n in tag_ids if n in (PADDING, UNSEEN)]:
        raise ValueError(f"ids {wrong} are no tags")
    tagger.eval()
    ids = torch.tensor(list(tag_ids), dtype=torch.int64)
    with torch.inference_mode():
        single = tagger.single_tags(ids)
        tasks = {task: _export_task(tagger, task, tagger.tag_vectors(single, task)) for task in tagger.heads}
    return Export(tagger, ids, tasks)


def _export_task(tagger: Tagger, task: str, tags: Tensor) -> TaskMatrices:
    unit = tags / tags.norm(dim=1, keepdim=True).clamp(min=SMALLEST_NORM)
    return task_matrices(tagger.gate(tags, task), unit, float(tagger.towers_of(task).score.scale()))


def task_matrices(gates: Tensor, unit_tags: Tensor, scale: float) -> TaskMatrices:
    """Gates [T, K] and tag vectors of length 1 [T, D] -> both matrices."""
    products = (gates.unsqueeze(2) * unit_tags.unsqueeze(1)).flatten(1).T.contiguous()
    first, second = torch.triu_indices(gates.shape[1], gates.shape[1])
    exact = gates.double()
    squares = exact[:, first] * exact[:, second] * torch.where(first == second, 1.0, 2.0).double()
    return TaskMatrices(products, squares.T.contiguous(), scale)
