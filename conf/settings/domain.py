"""How a model tells domains apart: the [domain] section of a model file.

Kinds with a part for each domain take the domain from [domain] feature of the run file; adaptdhm finds clusters itself.
"""

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from conf.settings.base import Name, Section


class DomainSection(Section):
    @property
    def needs_feature(self) -> bool:
        """Whether it tells rows apart by [domain] feature of the run file."""
        return True

    @property
    def inputs(self) -> list[str]:
        """Features that the run file must have, or tables of which it must have a feature."""
        return []


class NoDomain(DomainSection):
    """One network for all rows. The domain may still be a feature like any other."""

    kind: Literal["none"]

    @property
    def needs_feature(self) -> bool:
        return False


class SeparateDomains(DomainSection):
    """A whole model for each domain, embeddings included, that sees no row of another one."""

    kind: Literal["separate"]


class SharedBottomDomains(DomainSection):
    """A tower for each head and domain, over what the heads share (Caruana 1997)."""

    kind: Literal["shared_bottom"]


class Ple(DomainSection):
    """Experts that all domains share and experts of each domain, mixed by a gate for each domain (Tang et al. 2020).

    Experts have the layers that the heads share: `bottom_hidden` of [sharing] kind hard, `hidden` of single.
    """

    kind: Literal["ple"]
    shared_experts: PositiveInt = Field(1, description="experts that all domains share")
    domain_experts: PositiveInt = Field(1, description="experts of each domain alone")


class Star(DomainSection):
    """Each domain has a factor for every weight and a term for every bias of the shared network (Sheng et al. 2021)."""

    kind: Literal["star"]
    normalisation: Literal["none", "partitioned"] = Field(
        "none", description="partitioned: the network's input is normalised within each domain"
    )
    auxiliary_hidden: list[PositiveInt] = Field(
        [], description="widths of the hidden layers of a small network whose logit is added; none by default"
    )


class AdaptDhm(DomainSection):
    """Each cluster has a factor for every weight and a term for every bias of the shared network (AdaptDHM eq. 6).

    Clusters are found by dynamic routing over embedded features (AdaptDHM Algorithm 1).
    """

    kind: Literal["adaptdhm"]
    clusters: PositiveInt = Field(description="K, the number of clusters")
    route_by: list[Name] = Field(
        [],
        description="features whose vectors are routed; users, items and impressions stand for all features of a"
        ' table, domain for [domain] feature of the run file. ["users"] routes user-wise; empty: all features,'
        " instance-wise",
    )
    min_share: float = Field(
        0.01,
        ge=0,
        lt=1,
        description="smallest share of recent impressions; a cluster below it is revived. 0: never",
    )

    @property
    def needs_feature(self) -> bool:
        return False

    @property
    def inputs(self) -> list[str]:
        return self.route_by

    @model_validator(mode="after")
    def _all_clusters_can_have_the_share(self) -> "AdaptDhm":
        if self.min_share * self.clusters >= 1:
            raise ValueError(f"min_share = {self.min_share}: {self.clusters} clusters cannot all have that much")
        return self


RankerDomain = Annotated[
    NoDomain | SeparateDomains | SharedBottomDomains | Ple | Star | AdaptDhm, Field(discriminator="kind")
]
TowerDomain = Annotated[NoDomain | AdaptDhm, Field(discriminator="kind")]
