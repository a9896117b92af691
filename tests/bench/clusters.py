"""How the clusters of AdaptDHM's models line up with the distributions of a simulated world.

    python -m tests.bench.clusters --config conf/domains.toml --model adaptdhm_domain --day 2026-01-09 [--seeds 5]

The models must be in the lake: `sparsetag compare_models` trains them. Printed is the adjusted Rand index of each seed
between the true distribution of the day's impressions and the cluster that CTR's model of that day routes them to; and
the same for domains, each in the cluster of most of its impressions.
"""

import argparse
from datetime import date

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from conf import cli
from conf.errors import InputError
from conf.settings.run_file import Settings
from etl.world.parameters import world
from trainer.comparison.training import with_seed
from trainer.daily.open import open_ranker
from trainer.data.reader import read
from trainer.models.ranker import Ranker


def routed(settings: Settings, name: str, day: date) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cluster and number of the domain of each impression of a day."""
    run = open_ranker(settings, name)
    model = run.load_model(day)
    assert isinstance(model, Ranker)
    embedding = next(iter(model.embeddings))  # CTR's own, or the one of all heads
    clusters, domains = [], []
    with torch.inference_mode():
        for batch in read(run.paths.samples(day), run.layout, keys=["domain"], labels=()):
            clusters.append(model.routings[embedding](model.embeddings[embedding](batch.ids), batch.ids).cpu().numpy())
            domains.append(np.array([int(name.removeprefix("d")) for name in batch.keys["domain"]]))
    return np.concatenate(clusters), np.concatenate(domains)


def majority(clusters: NDArray[np.int64], domains: NDArray[np.int64]) -> dict[int, int]:
    """Domain -> the cluster of most of its impressions."""
    return {int(domain): int(np.bincount(clusters[domains == domain]).argmax()) for domain in np.unique(domains)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--day", type=date.fromisoformat, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    settings = cli.load(arguments)
    if settings.source.kind != "simulated":
        raise InputError("its distributions are not known", where=arguments.config, hint="use a simulated source")
    true = world(settings.source).distribution
    for seed in range(arguments.seeds):
        clusters, domains = routed(with_seed(settings, seed), arguments.model, arguments.day)
        of_domain = majority(clusters, domains)
        by_rows = adjusted_rand_score(true[domains], clusters)
        by_domains = adjusted_rand_score(true[list(of_domain)], list(of_domain.values()))
        used = len(np.unique(clusters))
        print(f"seed {seed}: impressions {by_rows:.3f}, domains {by_domains:.3f}, {used} clusters in use", flush=True)


if __name__ == "__main__":
    cli.run(main)
