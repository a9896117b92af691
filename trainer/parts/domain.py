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

    Scale and shift are a shared part times (plus) a domain's own. While it learns, statistics are those of the domain's
    rows in the batch, from two rows on; then, and for a single row, the moving averages. Domains without a part of
    their own are normalised by the averages of all rows.
    """

    def __init__(self, width: int, domains: Sequence[int]) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.all_rows = MovingMoments(width)
        own = {str(domain): DomainNorm(width) for domain in domains}
        self.of_domains = nn.ModuleDict(own)
        self._of_domains = own

    def forward(self, x: Tensor, groups: Groups) -> Tensor:
        if self.training:
            self.all_rows.learn(x)
        return groups.join([self._of_domain(str(domain), rows) for domain, rows in groups.split(x)])

    def _of_domain(self, domain: str, x: Tensor) -> Tensor:
        if (own := self._of_domains.get(domain)) is None:
            return self.all_rows.normalised(x) * self.scale + self.shift
        normalised: Tensor = own.moments(x)
        return normalised * (self.scale * own.scale) + self.shift + own.shift


class DomainNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.moments = MovingMoments(width)


class MovingMoments(nn.Module):
    """Mean and variance of the rows seen so far, as moving averages over batches."""

    mean: Tensor
    variance: Tensor
    batches: Tensor
    EPSILON, RATE = 1e-5, 0.99

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("variance", torch.ones(width))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """x [B, width] normalised: by its own moments while learning, from two rows on."""
        if not self.training or len(x) < 2:
            return self.normalised(x)
        self.learn(x)
        return (x - x.mean(0)) / (x.var(0, unbiased=False) + self.EPSILON).sqrt()

    def normalised(self, x: Tensor) -> Tensor:
        return (x - self.mean) / (self.variance + self.EPSILON).sqrt()

    @torch.no_grad()
    def learn(self, x: Tensor) -> None:
        if len(x) < 2:
            return
        self.batches += 1
        # an average of all batches at first, so that the start values have no weight
        rate = (1 / self.batches).clamp(min=1 - self.RATE)
        self.mean += rate * (x.mean(0) - self.mean)
        self.variance += rate * (x.var(0, unbiased=False) - self.variance)
