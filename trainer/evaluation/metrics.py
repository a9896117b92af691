"""Out-of-sample metrics. What is undefined on the data is None, never NaN and never an exception."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score


class MetricName(NamedTuple):
    """A metric of a target: what is predicted, and how it is judged."""

    target: str
    metric: str

    def __str__(self) -> str:
        """ "ctr_auc": in tables, JSON and MLflow."""
        return f"{self.target}_{self.metric}"


Metrics = dict[str, float | None]  # of one target
MetricValues = dict[MetricName, float | None]
Array = NDArray[Any]
TOP_PERCENT = (0.1, 0.6, 1.0)
TOP_METRICS = tuple(f"{kind}_top{percent:g}" for percent in TOP_PERCENT for kind in ("recall", "precision", "f1"))


def evaluate(predictions: pd.DataFrame) -> Metrics:
    """Metrics of one task's predictions (rows where its label is defined; contract.PREDICTIONS).

    auc: area under the ROC curve of `positive`. gauc_impressions, gauc_equal: the mean of the users' own AUCs,
    weighted by their rows or equally, over users with both classes. With a column `day` each user's days count apart:
    a later day's model has learnt from the earlier day, so pairs across days say nothing about its order.
    mse, logloss: against `label`. calibration: sum of predictions / sum of labels.
    """
    frame = predictions[predictions["defined"] > 0]
    truth = frame["label"].to_numpy(np.float64)
    positive = frame["positive"].to_numpy()
    predicted = frame["prediction"].to_numpy(np.float64)
    clipped = np.clip(predicted, 1e-7, 1 - 1e-7)
    by_user = user_aucs(frame)
    return {
        "rows": float(len(frame)),
        "auc": float(roc_auc_score(positive, predicted)) if len(np.unique(positive)) == 2 else None,
        "gauc_impressions": _mean(by_user["auc"], by_user["rows"]),
        "gauc_equal": _mean(by_user["auc"], np.ones(len(by_user))),
        "mse": _mean((predicted - truth) ** 2, np.ones(len(frame))),
        "logloss": _mean(-truth * np.log(clipped) - (1 - truth) * np.log(1 - clipped), np.ones(len(frame))),
        "calibration": float(predicted.sum() / truth.sum()) if truth.sum() > 0 else None,
    }


def metrics_by_task(predictions: pd.DataFrame) -> dict[str, Metrics]:
    return {str(task): evaluate(rows) for task, rows in predictions.groupby("task")}


def evaluate_tops(predictions: pd.DataFrame) -> Metrics:
    """TOP_METRICS: recall, precision and F1 when the top share of one task's rows counts as predicted positive.

    ESM2 section 4.2.1, tables 4 and 5. Rows by prediction, ties in the order of the rows. Undefined without positives,
    and where there are too few rows for the share.
    """
    frame = predictions[predictions["defined"] > 0]
    positive = frame["positive"].to_numpy(np.float64)
    best_first = np.argsort(-frame["prediction"].to_numpy(np.float64), kind="stable")
    positives = float(positive.sum())
    values: list[float | None] = []
    for percent in TOP_PERCENT:
        count = round(len(frame) * percent / 100)
        hits = float(positive[best_first[:count]].sum())
        if count and positives:
            values += [hits / positives, hits / count, 2 * hits / (count + positives)]
        else:
            values += [None, None, None]
    return dict(zip(TOP_METRICS, values, strict=True))


def _mean(values: Array, weights: Array) -> float | None:
    return float(np.average(values, weights=weights)) if len(values) else None


def user_aucs(rows: pd.DataFrame) -> pd.DataFrame:
    """user_id, rows, auc: one line for each user who has both classes, or for each such day of a user.

    rows: contract.PREDICTIONS of one task, and maybe `day`. By the rank-sum identity; ties share their rank.
    """
    keys = ["user_id", "day"] if "day" in rows else ["user_id"]
    frame = pd.DataFrame({
        "group": rows.groupby(keys, sort=False).ngroup().to_numpy(),
        "user_id": rows["user_id"].to_numpy(),
        "positive": rows["positive"].to_numpy(np.float64),
        "predicted": rows["prediction"].to_numpy(np.float64),
    })  # fmt: skip
    frame["rank"] = frame.groupby("group")["predicted"].rank()
    frame["positive_rank"] = frame["rank"] * frame["positive"]
    by_user = frame.groupby("group").agg(
        user_id=("user_id", "first"),
        rows=("positive", "size"),
        positives=("positive", "sum"),
        ranks=("positive_rank", "sum"),
    )
    by_user["pairs"] = by_user["positives"] * (by_user["rows"] - by_user["positives"])
    by_user = by_user[by_user["pairs"] > 0].copy()
    by_user["auc"] = (by_user["ranks"] - by_user["positives"] * (by_user["positives"] + 1) / 2) / by_user["pairs"]
    return by_user[["user_id", "rows", "auc"]]


def flatten(metrics: Mapping[str, Metrics]) -> dict[str, float]:
    """{"ctr": {"auc": x}} to {"ctr_auc": x}, as MLflow names them; undefined ones are left out."""
    return {
        str(MetricName(target, metric)): value
        for target, of_target in metrics.items()
        for metric, value in of_target.items()
        if value is not None
    }
