"""Fits the calibration of each task to what happened after the next-day predictions of the last days."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow.parquet
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from conf import cli
from etl.artefact import read_manifest
from tagging.scoring.calibration import RAW, Calibration
from trainer.daily.open import TaggerRun
from trainer.daily.run import ONE_DAY

Array = NDArray[np.float64]
DAYS = 7  # a full week, since weekdays differ; older predictions say little about today's model
BINS = 2**12  # of equal width over the raw score; memory does not grow with the number of predictions
DECIMALS = 6  # of the terms, so that the last bits of a machine's sums do not reach the scores


@dataclass(frozen=True)
class Evidence:
    """The predictions of a task, binned by raw score. All arrays [bins].

    logit: mean logit of the bin. positives, negatives: rows, or sums of labels that are shares.
    """

    logit: Array
    positives: Array
    negatives: Array


@dataclass(frozen=True)
class FittedCalibration:
    """The curve of a task, and what it was fitted to: the days of the predictions, their rows, the sum of labels."""

    curve: Calibration
    days: tuple[date, ...]
    rows: int
    positives: float

    def report(self) -> dict[str, Any]:
        """The `calibration` entry of a manifest."""
        days = [str(day) for day in self.days]
        return {**asdict(self.curve), "days": days, "rows": self.rows, "positives": self.positives}


def fit_calibrations(run: TaggerRun, day: date) -> dict[str, FittedCalibration]:
    """task -> calibration of the day's model; raises InputError when predictions are missing.

    Fitted to the predictions for the last DAYS days up to `day`, each made by the model of the day before. Nothing
    predicts [training] start, so on that day scores stay raw, as they do for a task without a defined label so far.
    """
    first = max(run.settings.training.start + ONE_DAY, day - (DAYS - 1) * ONE_DAY)
    days = cli.days(first, day) if first <= day else []
    fitted = {}
    for task, evidence in _read_evidence(run, days).items():
        positives = float(evidence.positives.sum())
        rows = round(positives + float(evidence.negatives.sum()))
        fitted[task] = FittedCalibration(fit(evidence), tuple(days), rows, positives)
    return fitted


def fit(evidence: Evidence) -> Calibration:
    """The maximum-likelihood curve that rises everywhere.

    Terms with a negative coefficient are dropped, the cubic first; without any the curve is the mean.
    """
    positives, negatives = evidence.positives.sum(), evidence.negatives.sum()
    if positives + negatives == 0:
        return RAW
    if positives and negatives:
        for powers in ((1, 3), (1,)):
            # its penalty, a normal prior of deviation 1, keeps a few rows from extremes and does not show in thousands
            columns = np.stack([evidence.logit**power for power in powers], axis=1)
            model = LogisticRegression(solver="newton-cholesky").fit(
                np.concatenate([columns, columns]),
                np.repeat([1, 0], len(columns)),
                sample_weight=np.concatenate([evidence.positives, evidence.negatives]),
            )
            if (model.coef_ >= 0).all():
                return Calibration(*(round(float(term), DECIMALS) for term in (model.intercept_[0], *model.coef_[0])))
    mean = (positives + 1) / (positives + negatives + 2)
    return Calibration(round(float(np.log(mean / (1 - mean))), DECIMALS), slope=0.0)


def _read_evidence(run: TaggerRun, days: Sequence[date]) -> dict[str, Evidence]:
    """task -> evidence of the next-day predictions for some days, read in batches."""
    sums = {task: np.zeros((3, BINS)) for task in run.objective.head_names}
    for day in days:
        folder = run.paths.predictions(run.family, run.name, day)
        hint = f"train that day again: sparsetag train_day --family {run.family} --day {day} --force"
        for entry in read_manifest(folder, hint=hint)["files"]:
            with pyarrow.parquet.ParquetFile(folder / entry["name"]) as file:
                for batch in file.iter_batches(columns=["task", "label", "defined", "prediction"]):
                    for task, rows in batch.to_pandas().query("defined > 0").groupby("task"):
                        sums[str(task)] += _sums_by_bin(
                            rows["prediction"].to_numpy(np.float64), rows["label"].to_numpy()
                        )
    return {task: _evidence(*sums_of_task) for task, sums_of_task in sums.items()}


def _sums_by_bin(scores: Array, labels: Array) -> Array:
    """Rows, labels and logits, summed by bin of the raw score: [3, BINS]."""
    number = np.minimum((scores * BINS).astype(np.int64), BINS - 1)
    inside = np.clip(scores, 1e-7, 1 - 1e-7)
    summed = (np.ones(len(scores)), labels, np.log(inside / (1 - inside)))
    return np.stack([np.bincount(number, weights=weights, minlength=BINS) for weights in summed])


def _evidence(rows: Array, labels: Array, logits: Array) -> Evidence:
    used = rows > 0
    return Evidence(logits[used] / rows[used], labels[used], rows[used] - labels[used])
