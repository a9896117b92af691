"""From the [sharing] and [domain] sections of a model file to the network above the embeddings."""

from collections.abc import Mapping, Sequence

from conf.settings.domain import Ple, RankerDomain, Star
from conf.settings.sharing import NetworkSharing
from trainer.parts import domain as parts
from trainer.parts.dense import Dense
from trainer.parts.experts import Experts
from trainer.parts.head_network import HeadNetwork
from trainer.parts.mask import Mask
from trainer.parts.sharing import SharedBottom, SparseSharing
from trainer.seeding import seed_of


def build_network(
    sharing: NetworkSharing,
    inputs: int,
    outputs: int,
    heads: Sequence[str],
    seed: int,
    masks: Mapping[str, Mask] | None,
    groups: Sequence[int] = (),
) -> HeadNetwork:
    """A network x [B, inputs] -> head -> [B, outputs]; without masks, sNET is dense for every head.

    groups: those with factors of their own for all weights; not for experts, which have no such factors.
    """
    if sharing.kind == "single":
        return SharedBottom([inputs, *sharing.hidden, outputs], 0, heads, seed, groups)
    if sharing.kind == "hard":
        widths = [inputs, *sharing.bottom_hidden, *sharing.tower_hidden, outputs]
        return SharedBottom(widths, len(sharing.bottom_hidden), heads, seed, groups)
    if sharing.kind == "sparse_weight" or sharing.kind == "sparse_neuron":
        return SparseSharing([inputs, *sharing.hidden, outputs], heads, seed, masks, groups)
    return Experts(
        [inputs, *sharing.expert_hidden, *sharing.tower_hidden, outputs],
        expert_layers=len(sharing.expert_hidden),
        heads=heads,
        shared=sharing.experts,
        own=sharing.task_experts if sharing.kind == "cgc" else 0,
        gate_per_head=sharing.kind != "moe",
        seed=seed,
    )


def build_adapted(
    domain: RankerDomain,
    sharing: NetworkSharing,
    inputs: int,
    outputs: int,
    heads: Sequence[str],
    seed: int,
    masks: Mapping[str, Mask] | None,
    domains: Sequence[int],
) -> HeadNetwork:
    """The network of `sharing` with what `domain` adds to it for each of these domains (ids of the domain feature)."""
    if domain.kind == "adaptdhm":
        return build_network(sharing, inputs, outputs, heads, seed, masks, range(domain.clusters))
    if domain.kind == "star":
        network = build_network(sharing, inputs, outputs, heads, seed, masks, domains)
        return _star(domain, network, inputs, outputs, heads, seed, domains)
    if domain.kind == "shared_bottom":
        of_domains = [parts.domain_head(head, each) for each in domains for head in heads]
        return parts.DomainHeads(build_network(sharing, inputs, outputs, of_domains, seed, masks), domains)
    if domain.kind == "ple":
        if sharing.kind == "single":
            return parts.SeparateHeads(
                heads,
                lambda head: _ple(
                    domain, sharing.hidden, [], inputs, outputs, [head], seed_of(seed, "ple", head), domains
                ),
            )
        if sharing.kind == "hard":
            return _ple(domain, sharing.bottom_hidden, sharing.tower_hidden, inputs, outputs, heads, seed, domains)
    return build_network(sharing, inputs, outputs, heads, seed, masks)


def _ple(
    domain: Ple,
    expert_hidden: Sequence[int],
    tower_hidden: Sequence[int],
    inputs: int,
    outputs: int,
    heads: Sequence[str],
    seed: int,
    domains: Sequence[int],
) -> HeadNetwork:
    """One extraction level, with domains for tasks: deeper ones would send each row through every domain's experts."""
    experts = Experts(
        [inputs, *expert_hidden, *tower_hidden, outputs],
        expert_layers=len(expert_hidden),
        heads=[parts.domain_head(head, each) for each in domains for head in heads],
        shared=domain.shared_experts,
        own=domain.domain_experts,
        gate_per_head=True,
        seed=seed,
    )
    return parts.DomainHeads(experts, domains)


def _star(
    domain: Star,
    network: HeadNetwork,
    inputs: int,
    outputs: int,
    heads: Sequence[str],
    seed: int,
    domains: Sequence[int],
) -> HeadNetwork:
    if domain.normalisation == "none" and not domain.auxiliary_hidden:
        return network
    norm = parts.PartitionedNorm(inputs, domains) if domain.normalisation == "partitioned" else None
    widths = [inputs, *domain.auxiliary_hidden, outputs]
    auxiliary = {
        head: Dense(widths, seed, f"auxiliary/{head}", last_activation=False)
        for head in (heads if domain.auxiliary_hidden else ())
    }
    return parts.Star(network, norm, auxiliary)
