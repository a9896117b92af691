"""Clusters find the distributions behind domains, where these are separable."""

import numpy as np
import torch
from sklearn.metrics import adjusted_rand_score

from conf.settings.run_file import Feature
from tests.trainer.models.combination import MODEL_FILE
from trainer.data.batch import Batch
from trainer.data.layout import Layout
from trainer.data.waiting import Waiting
from trainer.models.ranker import build_ranker
from trainer.objectives.objective import one_step_per_head
from trainer.objectives.ranking import CTR
from trainer.training.loop import train_pass
from trainer.training.optimiser import StepOptimiser

DOMAINS, DISTRIBUTIONS, TAGS, ROWS = 33, 4, 8, 16_000
FEATURES = [
    Feature(name="place", table="impressions", cross=True),
    Feature(name="tag", table="items", cross=True),
]
TRUE = np.random.default_rng(0).permutation(np.arange(DOMAINS) % DISTRIBUTIONS)
TASTE = np.random.default_rng(1).normal(0, 1.5, (DISTRIBUTIONS, TAGS))  # click logit of a tag, by distribution


def day(number: int) -> Batch:
    """Impressions of random tags in random domains; how a tag is liked depends on the domain's distribution alone."""
    random = np.random.default_rng([2, number])
    domain, tag = random.integers(0, DOMAINS, ROWS), random.integers(0, TAGS, ROWS)
    click = random.random(ROWS) < 1 / (1 + np.exp(-TASTE[TRUE[domain], tag]))
    labels = {"click": torch.tensor(click, dtype=torch.float32), "click_defined": torch.ones(ROWS)}
    return Batch(torch.tensor(np.stack([domain, tag], 1) + 2), labels, {}, torch.empty(ROWS, 0))


def test_clusters_of_domains_are_the_distributions() -> None:
    """Adjusted Rand index of the clusters that 33 domains are routed to and their true distributions."""
    model = MODEL_FILE.validate_python(
        {
            "family": "ranker",
            "kind": "network",
            "embedding": {"dim": 8},
            "sharing": {"kind": "hard", "tower_hidden": [16]},
            "domain": {"kind": "adaptdhm", "clusters": DISTRIBUTIONS, "route_by": ["domain"]},
        }
    )
    sizes = {"place": DOMAINS + 2, "tag": TAGS + 2}
    network = build_ranker(model, Layout.of(FEATURES), FEATURES[0], sizes, seed=0)
    steps = one_step_per_head((CTR,)).steps
    optimiser = StepOptimiser(network, ["ctr"], model.optimiser)
    for number in range(3):
        train_pass(network, optimiser, [day(number)], steps, 128, torch.device("cpu"), Waiting(), torch.Generator())
    ids = torch.stack([torch.arange(DOMAINS), torch.zeros(DOMAINS, dtype=torch.int64)], 1) + 2
    found = network.routings["shared"](network.embeddings["shared"](ids), ids)
    assert adjusted_rand_score(TRUE, found) > 0.9
