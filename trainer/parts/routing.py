"""Which group, a domain or a cluster, each row of a batch belongs to."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from conf.settings.run_file import Feature
from etl.contract import FIRST_VALUE, UNSEEN
from trainer.seeding import generator

ITERATIONS = 3  # I of AdaptDHM Algorithm 1
RATE = 0.9  # beta of AdaptDHM eq. 5


class Routing(nn.Module, ABC):
    """Embedded features [B, F, dim] and ids [B, C] -> the group of each row, int64 [B], without gradient."""

    observes = False  # whether it learns from impressions

    def report(self) -> "ClusterReport | None":
        """What a day shows of its clusters; None when it has none."""
        return None

    @abstractmethod
    def forward(self, vectors: Tensor, ids: Tensor) -> Tensor: ...

    def observe(self, vectors: Tensor, whole: float) -> None:
        """Learns from a batch of all impressions; `whole`: its rows as a share of a whole batch's, at most 1."""


class ByDomain(Routing):
    """The id of the domain feature; ids beyond the vocabulary are unseen."""

    def __init__(self, column: int, size: int) -> None:
        super().__init__()
        self._column, self._size = column, size

    def forward(self, vectors: Tensor, ids: Tensor) -> Tensor:
        return self.domains(ids)

    def domains(self, ids: Tensor) -> Tensor:
        """Ids of all features [B, C] -> int64 [B]."""
        found = ids[:, self._column]
        return torch.where(found < self._size, found, UNSEEN)


def domain_ids(size: int) -> range:
    """The ids of the domains in a vocabulary of this size; padding and unseen are no domains."""
    return range(FIRST_VALUE, size)


def places(features: Sequence[Feature], chosen: Sequence[str], domain: Feature | None) -> list[int]:
    """The places, from 0, of the features that are named by themselves or by their table; of all when none is.

    `domain` among the chosen stands for the feature that tells domains apart.
    """
    names = {domain.name if domain and name == "domain" else name for name in chosen}
    return [n for n, feature in enumerate(features) if not names or {feature.name, feature.table} & names]


def dynamic_routing(vectors: Tensor, centres: Tensor, iterations: int = ITERATIONS) -> tuple[Tensor, Tensor]:
    """AdaptDHM Algorithm 1, lines 1 to 6: vectors [B, D] and unit centres [K, D] of the batch before.

    Returns the coefficients r [B, K] of the last iteration (eq. 1 and 2; rows sum to 1) and the centres that the batch
    alone has, of length 1 [K, D] (eq. 3 and 4).
    """
    coefficients = vectors.new_zeros(len(vectors), len(centres))
    for _ in range(iterations):
        coefficients = (vectors @ centres.T).softmax(dim=1)
        centres = F.normalize(coefficients.T @ vectors, dim=1)
    return coefficients, centres


def moved(centres: Tensor, of_batch: Tensor, rate: float = RATE) -> Tensor:
    """AdaptDHM Algorithm 1, line 7 (eq. 5): the moving average of unit centres [K, D], of length 1 again."""
    return F.normalize(rate * centres + (1 - rate) * of_batch, dim=1)


@dataclass(frozen=True)
class ClusterReport:
    """A day's clusters: shares of its impressions, cosine of each pair of centres, how often each was revived."""

    shares: list[float]
    cosines: dict[tuple[int, int], float]
    revived: list[int]


class ByCluster(Routing):
    """The cluster whose centre is most similar to the row's vector (AdaptDHM section 3.3): a hard choice.

    Hard, since a row shall cost one branch and not K, and since the paper serves a row "the cluster with the most
    similar distribution". A row is routed by the centres as they are before its batch, in training as in serving, so
    that a branch learns from the rows that it will serve. All impressions of a batch then move the centres.

    In the paper the embedded features themselves are routed. Embeddings are short at first and share a direction later:
    all rows have then almost equal coefficients and all centres soon are one. So vectors are centred by their moving
    mean and have length SHARPNESS here; otherwise it is Algorithm 1.

    A cluster whose moving share of the impressions falls below min_share is revived: its centre becomes the vector of
    the row that is least similar to its own centre.

    centres [K, D], mean [D], shares [K] are saved with the model. seen, revived [K]: impressions and revivals of the
    day, for people.
    """

    observes = True
    centres: Tensor
    mean: Tensor
    shares: Tensor
    seen: Tensor
    revived: Tensor
    SHARPNESS = 3.0
    SHARE_RATE = 0.99

    def __init__(self, fields: Sequence[int], dim: int, clusters: int, min_share: float, seed: int) -> None:
        """fields: the places of the routed features among the embedded ones; dim: of a feature's vector."""
        super().__init__()
        self._fields, self._min_share = list(fields), min_share
        width = len(self._fields) * dim
        normal = torch.randn(clusters, width, generator=generator(seed, "distribution centres"))
        self.register_buffer("centres", F.normalize(normal, dim=1))
        self.register_buffer("mean", torch.full((width,), torch.nan))
        self.register_buffer("shares", torch.full((clusters,), 1 / clusters))
        self.register_buffer("seen", torch.zeros(clusters, dtype=torch.int64), persistent=False)
        self.register_buffer("revived", torch.zeros(clusters, dtype=torch.int64), persistent=False)

    def forward(self, vectors: Tensor, ids: Tensor) -> Tensor:
        return self.clusters(vectors)

    @torch.no_grad()
    def clusters(self, vectors: Tensor) -> Tensor:
        """Embedded features [B, F, dim] -> int64 [B]."""
        return (self._directions(vectors[:, self._fields].flatten(1)) @ self.centres.T).argmax(dim=1)

    @torch.no_grad()
    def observe(self, vectors: Tensor, whole: float) -> None:
        flat = vectors[:, self._fields].flatten(1)
        rate = RATE**whole
        mean = flat.mean(0)
        self.mean = torch.where(self.mean.isnan(), mean, rate * self.mean + (1 - rate) * mean)
        routed = self._directions(flat)
        _, of_batch = dynamic_routing(routed, self.centres)
        self.centres = moved(self.centres, of_batch, rate)
        similarity = routed @ self.centres.T
        rows = similarity.argmax(dim=1).bincount(minlength=len(self.centres))
        self.seen += rows
        slow = self.SHARE_RATE**whole
        self.shares = slow * self.shares + (1 - slow) * rows / len(flat)
        self._revive(routed, similarity)

    def report(self) -> ClusterReport:
        cosines = (self.centres @ self.centres.T).tolist()
        return ClusterReport(
            shares=(self.seen / self.seen.sum().clamp(min=1)).tolist(),
            cosines={(a, b): cosines[a][b] for a, b in combinations(range(len(cosines)), 2)},
            revived=self.revived.tolist(),
        )

    def _directions(self, flat: Tensor) -> Tensor:
        return self.SHARPNESS * F.normalize(flat - self.mean.nan_to_num(), dim=1)

    def _revive(self, routed: Tensor, similarity: Tensor) -> None:
        starved = (self.shares < self._min_share).nonzero().squeeze(1)
        if len(starved):
            strangers = similarity.amax(dim=1).argsort(stable=True)[: len(starved)]
            starved = starved[: len(strangers)]
            self.centres[starved] = F.normalize(routed[strangers], dim=1)
            self.shares[starved] = 1 / len(self.shares)
            self.revived[starved] += 1
