"""Do taggers find what users like? Rank correlation of their scores with the taste in a simulated world.

    python -m tests.bench.taste --config conf/demo.toml --day 2026-01-09 --models two_tower mvke --seeds 5

Train the taggers up to the day first (sparsetag compare_taggers does), and build users/dt=D. Prints for each task
Spearman's rank correlation of score and taste over the tags of a user (mean over users) and over the users of a tag
(mean over tags), each as mean and standard deviation over seeds.
"""

import statistics
from datetime import date

import numpy as np
import pyarrow.parquet
import torch
from scipy.stats import rankdata

from conf import cli
from conf.settings.run_file import Settings
from etl.contract import columns_of
from etl.world.parameters import world
from tagging.scoring.export import export
from tagging.scoring.score import cosines
from trainer.comparison.training import with_seed
from trainer.daily.open import open_tagger
from trainer.data import vocabulary

STAGES = {"interest": "click", "intention": "conversion"}


def rank_correlation(one: np.ndarray, other: np.ndarray, axis: int) -> float:
    """Mean over the rows (axis 1) or columns (axis 0) of Spearman's coefficient."""
    ranks = [rankdata(values, axis=axis) for values in (one, other)]
    centred = [r - r.mean(axis=axis, keepdims=True) for r in ranks]
    product = (centred[0] * centred[1]).sum(axis=axis)
    return float((product / np.sqrt((centred[0] ** 2).sum(axis=axis) * (centred[1] ** 2).sum(axis=axis))).mean())


def of_tagger(settings: Settings, name: str, day: date, task: str) -> tuple[float, float]:
    """Rank correlation with the world's taste over the tags of a user, and over the users of a tag."""
    run = open_tagger(settings, name)
    tags = vocabulary.values(run.paths, day, settings.tagger.tag_feature)
    exported = export(run.load_model(day), list(tags))
    columns = columns_of(run.layout.of_table("users"))
    users = pyarrow.parquet.read_table(run.paths.users(day), columns=["user_id", *columns]).to_pandas()
    with torch.inference_mode():
        vectors = exported.tagger.user_vectors(torch.tensor(users[columns].to_numpy("int64")), task)
        scores = cosines(vectors, exported.tasks[task]).numpy()
    places = users["user_id"].str[1:].astype(int), [int(tag[3:]) for tag in tags.values()]
    taste = world(settings.source).mean_taste(STAGES[task])[np.ix_(*places)]
    return rank_correlation(scores, taste, 1), rank_correlation(scores, taste, 0)


def main() -> None:
    parser = cli.parser(__doc__.split("\n")[0], publishes=False)
    parser.add_argument("--day", type=cli.day, required=True)
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    settings = cli.load(arguments)
    print("| tagger | interest by user | by tag | intention by user | by tag |\n|---|---|---|---|---|")
    for name in arguments.models:
        cells = []
        for task in STAGES:
            found = [of_tagger(with_seed(settings, s), name, arguments.day, task) for s in range(arguments.seeds)]
            for values in zip(*found, strict=True):
                spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
                cells.append(f"{statistics.fmean(values):.3f}{spread}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    cli.run(main)
