"""What a logit came to: the share of impressions at it that were positive on the days before.

A cosine saturates: beyond +-1 there is no more agreement to be had, while the odds go on. So the log odds are fitted as
intercept + slope * z + cubic * z^3 (Platt's logistic fit with one more term; DECISIONS.md has the comparison), on
predictions that the model of each day made for the next one. No term may fall, so a larger logit never scores less.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow.parquet
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from conf import cli
from etl.artefact import identity, read_manifest
from trainer.daily.open import TaggerRun
from trainer.daily.run import ONE_DAY

Array = NDArray[np.float64]
DAYS = 7  # a week, since its days differ; and what the model was a month ago says little about it now
BINS = 2**12  # of equal width on the raw scores: all that is kept of the predictions, however many
DECIMALS = 6  # of the terms, so that the last bits of a machine's sums do not reach the scores


@dataclass(frozen=True)
class Calibration:
    """score = sigmoid(intercept + slope * z + cubic * z^3) for a logit z; as it stands here, the raw sigmoid."""

    intercept: float = 0.0
    slope: float = 1.0
    cubic: float = 0.0

    def __call__(self, logits: Tensor) -> Tensor:
        """float32, any shape. In double precision between: the last bit of a float32 sigmoid depends on the number's
        place in its tensor, and a user's score for a tag has to be the same in every table.
        """
        exact = logits.double()
        return torch.sigmoid(self.intercept + exact * (self.slope + self.cubic * exact * exact)).float()


RAW = Calibration()


@dataclass(frozen=True)
class Evidence:
    """The predictions of a task, in bins. logit: mean of the bin's. positives, negatives: rows (sums of labels)."""

    logit: Array
    positives: Array
    negatives: Array


def calibrations(run: TaggerRun, day: date) -> tuple[dict[str, Calibration], dict[str, Any]]:
    """By task: the calibration of a day's model, and what the manifest says of it; raises InputError.

    The predictions of the last DAYS days up to `day` count. There are none of [training] start, whose model is the
    first: its scores stay raw, as those of a task none of whose rows was defined so far.
    """
    first = max(run.settings.training.start + ONE_DAY, day - (DAYS - 1) * ONE_DAY)
    days = cli.days(first, day) if first <= day else []
    evidence = _evidence(run, days)
    made = {task: fitted(of_task) for task, of_task in evidence.items()}
    said = {
        task: {
            **asdict(made[task]),
            "days": list(map(str, days)),
            "rows": round(float(of_task.positives.sum() + of_task.negatives.sum())),
            "positives": float(of_task.positives.sum()),
        }
        for task, of_task in evidence.items()
    }
    return made, said


def predictions_used(run: TaggerRun, days: Sequence[str]) -> dict[str, str]:
    """Day -> identity of the predictions that a calibration came from."""
    return {day: identity(run.paths.predictions(run.family, run.name, date.fromisoformat(day))) for day in days}


def fitted(evidence: Evidence) -> Calibration:
    """The terms that make the evidence likeliest; a term that would fall is left out, and so is all but the mean."""
    positives, negatives = evidence.positives.sum(), evidence.negatives.sum()
    if positives + negatives == 0:
        return RAW
    if positives and negatives:
        for powers in ((1, 3), (1,)):
            # the penalty (a normal prior of deviation 1) is nothing beside some thousand rows, and holds a few together
            columns = np.stack([evidence.logit**power for power in powers], axis=1)
            fit = LogisticRegression(solver="newton-cholesky").fit(
                np.concatenate([columns, columns]),
                np.repeat([1, 0], len(columns)),
                sample_weight=np.concatenate([evidence.positives, evidence.negatives]),
            )
            if (fit.coef_ >= 0).all():
                return Calibration(*(round(float(term), DECIMALS) for term in (fit.intercept_[0], *fit.coef_[0])))
    mean = (positives + 1) / (positives + negatives + 2)
    return Calibration(round(float(np.log(mean / (1 - mean))), DECIMALS), slope=0.0)


def _evidence(run: TaggerRun, days: Sequence[date]) -> dict[str, Evidence]:
    """By task, what the next-day predictions of some days say; read in batches, kept in bins."""
    sums = {task: np.zeros((3, BINS)) for task in run.objective.head_names}
    for day in days:
        folder = run.paths.predictions(run.family, run.name, day)
        hint = f"make them again: python -m trainer.train_day --family {run.family} --day {day} --force"
        for entry in read_manifest(folder, hint=hint)["files"]:
            with pyarrow.parquet.ParquetFile(folder / entry["name"]) as file:
                for batch in file.iter_batches(columns=["task", "label", "defined", "prediction"]):
                    for task, rows in batch.to_pandas().query("defined > 0").groupby("task"):
                        sums[str(task)] += _in_bins(rows["prediction"].to_numpy(np.float64), rows["label"].to_numpy())
    return {task: _as_evidence(*of_task) for task, of_task in sums.items()}


def _in_bins(scores: Array, labels: Array) -> Array:
    """Rows, labels and logits summed by bin of the raw score: [3, BINS]."""
    place = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    inside = np.clip(scores, 1e-7, 1 - 1e-7)
    summed = (np.ones(len(scores)), labels, np.log(inside / (1 - inside)))
    return np.stack([np.bincount(place, weights=weights, minlength=BINS) for weights in summed])


def _as_evidence(rows: Array, labels: Array, logits: Array) -> Evidence:
    used = rows > 0
    return Evidence(logits[used] / rows[used], labels[used], rows[used] - labels[used])
