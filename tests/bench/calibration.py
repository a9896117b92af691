"""How well calibrated a tagger's next-day predictions are, with curves fitted on the days before.

    python -m tests.bench.calibration --config conf/kuairand.toml --from 2022-05-01 --to 2022-05-04

Train the tagger up to the last day first (sparsetag train_day --family tagger). Prints for each task and curve, mean
over the days: expected calibration error (ten groups of equal size by score: mean distance between score and
share), log loss, and mean score over share. raw: sigmoid of the logit; platt: logistic fit; isotonic: steps; used: the
curve of tagging/scoring/calibration_fit.py.
"""

from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd
import torch
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from conf import cli
from tagging.scoring.calibration_fit import DAYS, Array, fit_calibrations
from trainer.daily.open import TaggerRun, open_tagger
from trainer.daily.run import ONE_DAY
from trainer.evaluation.predictions import read_predictions

Curve = Callable[[Array], Array]
CLIP = 1e-6


def logits_and_labels(run: TaggerRun, days: list[date], task: str) -> tuple[Array, Array]:
    """Of the rows on which the task is defined."""
    rows = pd.concat([read_predictions(run.paths.predictions(run.family, run.name, day)) for day in days])
    rows = rows[(rows["task"] == task) & (rows["defined"] > 0)]
    score = rows["prediction"].to_numpy(np.float64)
    return np.log(score / (1 - score)), rows["label"].to_numpy(np.float64)


def curves(run: TaggerRun, day: date, task: str) -> dict[str, Curve]:
    """Fitted on the days before `day`."""
    first = max(run.settings.training.start + ONE_DAY, day - DAYS * ONE_DAY)
    logits, labels = logits_and_labels(run, cli.days(first, day - ONE_DAY), task)
    platt = LogisticRegression(solver="newton-cholesky").fit(logits[:, None], labels)
    steps = IsotonicRegression(out_of_bounds="clip").fit(logits, labels)
    used = fit_calibrations(run, day - ONE_DAY)[task].curve
    return {
        "raw": lambda z: 1 / (1 + np.exp(-z)),
        "platt": lambda z: platt.predict_proba(z[:, None])[:, 1],
        "isotonic": steps.predict,
        "used": lambda z: used(torch.from_numpy(z)).double().numpy(),
    }


def calibration_metrics(scores: Array, labels: Array) -> list[float]:
    """Expected calibration error, log loss, mean score over share."""
    groups = np.array_split(np.argsort(scores, kind="stable"), 10)
    error = sum(abs(scores[g].mean() - labels[g].mean()) * len(g) for g in groups) / len(scores)
    inside = np.clip(scores, CLIP, 1 - CLIP)
    loss = -np.mean(labels * np.log(inside) + (1 - labels) * np.log(1 - inside))
    return [float(error), float(loss), float(scores.mean() / labels.mean())]


def main() -> None:
    parser = cli.parser(__doc__.split("\n")[0], publishes=False)
    cli.add_days(parser)
    arguments = parser.parse_args()
    run = open_tagger(cli.load(arguments))
    for task in run.objective.head_names:
        found: dict[str, list[list[float]]] = {}
        for day in cli.chosen_days(arguments):
            logits, labels = logits_and_labels(run, [day], task)
            for name, curve in curves(run, day, task).items():
                found.setdefault(name, []).append(calibration_metrics(curve(logits), labels))
        for name, days in found.items():
            error, loss, ratio = np.mean(days, axis=0)
            print(f"{task:10} {name:9} error {error:.4f}  log loss {loss:.5f}  mean over share {ratio:.3f}", flush=True)


if __name__ == "__main__":
    cli.run(main)
