"""Networks with a part for each domain: a head (shared bottom, PLE), a normalisation, a small network beside (STAR)."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from trainer.parts.dense import Dense
from trainer.parts.groups import Groups
from trainer.parts.head_network import HeadNetwork


def domain_head(head: str, domain: int) -> str:
    return f"{head}_{domain}"


class DomainHeads(HeadNetwork):
    """A network with a head for each head and domain, whichever layers they share; a row uses its own domain's.

    A row of any other domain gets the mean of all domains' outputs: nothing was learnt about it, and no part is shared
    to the end.
    """

    def __init__(self, network: HeadNetwork, domains: Sequence[int]) -> None:
        super().__init__()
        self.network = network
        self._domains = list(domains)

    def forward(self, x: Tensor, heads: Sequence[str], groups: Groups | None = None) -> dict[str, Tensor]:
        assert groups is not None
        found = [self._of_domain(domain, rows, heads) for domain, rows in groups.split(x)]
        return {head: groups.join([part[head] for part in found]) for head in heads}

    def _of_domain(self, domain: int, x: Tensor, heads: Sequence[str]) -> dict[str, Tensor]:
        domains = [domain] if domain in self._domains else self._domains
        outputs = self.network(x, [domain_head(head, each) for each in domains for head in heads])
        return {head: torch.stack([outputs[domain_head(head, each)] for each in domains]).mean(0) for head in heads}


class SeparateHeads(HeadNetwork):
    """A whole network for each head."""

    def __init__(self, heads: Sequence[str], build: Callable[[str], HeadNetwork]) -> None:
        super().__init__()
        self.of_head = nn.ModuleDict({head: build(head) for head in heads})

    def forward(self, x: Tensor, heads: Sequence[str], groups: Groups | None = None) -> dict[str, Tensor]:
        return {head: self.of_head[head](x, [head], groups)[head] for head in heads}


class Star(HeadNetwork):
    """What STAR puts around its adapted network (Sheng et al. 2021); either part may be absent.

    auxiliary: a small network for each head, whose output is added. It sees the same input, where the domain is a
    feature.
    """

    def __init__(
        self, network: HeadNetwork, normalisation: "PartitionedNorm | None", auxiliary: Mapping[str, Dense]
    ) -> None:
        super().__init__()
        self.network = network
        self.normalisation = normalisation
        self.auxiliary = nn.ModuleDict(auxiliary)

    def maskable_weights(self) -> dict[str, Tensor]:
        return self.network.maskable_weights()

    def forward(self, x: Tensor, heads: Sequence[str], groups: Groups | None = None) -> dict[str, Tensor]:
        assert groups is not None
        seen = self.normalisation(x, groups) if self.normalisation else x
        found: dict[str, Tensor] = self.network(seen, heads, groups)
        return {h: found[h] + self.auxiliary[h](x) for h in heads} if self.auxiliary else found


class PartitionedNorm(nn.Module):
    """x [B, width] normalised by the mean and variance of its domain, scaled and shifted (Sheng et al. 2021).

    Scale and shift are a shared part times (plus) a domain's own. Moments are moving averages over rows, in training as
    in serving: a batch holds few rows of a domain here, and their own moments would be noise (in the paper a batch is
    of one domain). A domain that has shown fewer rows than ENOUGH is normalised by the moments of all rows.
    """

    ENOUGH = 200  # rows

    def __init__(self, width: int, domains: Sequence[int]) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.all_rows = MovingMoments(width)
        self._of_domains = {domain: DomainNorm(width) for domain in domains}
        self.of_domains = nn.ModuleDict({str(domain): own for domain, own in self._of_domains.items()})

    def forward(self, x: Tensor, groups: Groups) -> Tensor:
        if self.training:
            self.all_rows.learn(x)
        return groups.join([self._of_domain(domain, rows) for domain, rows in groups.split(x)])

    def _of_domain(self, domain: int, x: Tensor) -> Tensor:
        by_all = self.all_rows.normalised(x)
        if (own := self._of_domains.get(domain)) is None:
            return by_all * self.scale + self.shift
        if self.training:
            own.moments.learn(x)
        normalised = torch.where(own.moments.rows < self.ENOUGH, by_all, own.moments.normalised(x))
        return normalised * (self.scale * own.scale) + self.shift + own.shift


class DomainNorm(nn.Module):
    """What a domain adds to the shared scale and shift, and its moments."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.moments = MovingMoments(width)


class MovingMoments(nn.Module):
    """Mean and mean square [width] of the rows so far: all of them at first, then about the last WINDOW rows."""

    mean: Tensor
    square: Tensor
    rows: Tensor
    EPSILON, WINDOW = 1e-5, 10_000

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("square", torch.zeros(width))
        self.register_buffer("rows", torch.zeros((), dtype=torch.int64))

    def normalised(self, x: Tensor) -> Tensor:
        variance = (self.square - self.mean.square()).clamp(min=0)
        return (x - self.mean) / (variance + self.EPSILON).sqrt()

    @torch.no_grad()
    def learn(self, x: Tensor) -> None:
        self.rows += len(x)
        rate = (len(x) / self.rows).clamp(min=len(x) / self.WINDOW).clamp(max=1)
        # new tensors: what the gradient of this batch needs is left as it is
        self.mean = self.mean + rate * (x.mean(0) - self.mean)
        self.square = self.square + rate * (x.square().mean(0) - self.square)
