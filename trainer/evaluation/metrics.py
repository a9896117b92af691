"""Out-of-sample metrics. What is undefined on the data is None, never NaN and never an exception."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

Metrics = dict[str, float | None]
Array = NDArray[Any]
TOP_PERCENT = (0.1, 0.6, 1.0)


def evaluate(predictions: pd.DataFrame) -> Metrics:
    """Metrics of one task's predictions (rows where its label is defined; contract.PREDICTIONS).

    auc: area under the ROC curve of `positive`. gauc_impressions, gauc_equal: the mean of the users' own AUCs,
    weighted by their rows or equally, over users with both classes. With a column `day`, of the users' days: the model
    of a day has learnt what a user did the day before, so that pairs across days are ordered by what came after.
    mse, logloss: against `label`. calibration: sum of predictions / sum of labels.
    """
    frame = predictions[predictions["defined"] > 0]
    truth = frame["label"].to_numpy(np.float64)
    positive = frame["positive"].to_numpy()
    predicted = frame["prediction"].to_numpy(np.float64)
    clipped = np.clip(predicted, 1e-7, 1 - 1e-7)
    groups = frame.groupby(["user_id", "day"] if "day" in frame else ["user_id"], sort=False).ngroup().to_numpy()
    by_user = _auc_by_user(groups, positive, predicted)
    return {
        "rows": float(len(frame)),
        "auc": float(roc_auc_score(positive, predicted)) if len(np.unique(positive)) == 2 else None,
        "gauc_impressions": _mean(by_user["auc"], by_user["rows"]),
        "gauc_equal": _mean(by_user["auc"], np.ones(len(by_user))),
        "mse": _mean((predicted - truth) ** 2, np.ones(len(frame))),
        "logloss": _mean(-truth * np.log(clipped) - (1 - truth) * np.log(1 - clipped), np.ones(len(frame))),
        "calibration": float(predicted.sum() / truth.sum()) if truth.sum() > 0 else None,
    }


def at_tops(predictions: pd.DataFrame) -> Metrics:
    """Recall, precision and F1 when the top share of one task's rows, by prediction, counts as predicted positive.

    ESM2 section 4.2.1, tables 4 and 5; ties in the order of the rows. Undefined without positives, and where there are
    too few rows for the share.
    """
    frame = predictions[predictions["defined"] > 0]
    positive = frame["positive"].to_numpy(np.float64)
    best_first = np.argsort(-frame["prediction"].to_numpy(np.float64), kind="stable")
    found: Metrics = {}
    for percent in TOP_PERCENT:
        count = round(len(frame) * percent / 100)
        hits = float(positive[best_first[:count]].sum())
        defined = count > 0 and positive.sum() > 0
        found[f"recall_top{percent:g}"] = hits / float(positive.sum()) if defined else None
        found[f"precision_top{percent:g}"] = hits / count if defined else None
        found[f"f1_top{percent:g}"] = 2 * hits / (count + float(positive.sum())) if defined else None
    return found


def _mean(values: Array, weights: Array) -> float | None:
    return float(np.average(values, weights=weights)) if len(values) else None


def _auc_by_user(users: Array, positive: Array, predicted: Array) -> pd.DataFrame:
    """AUC by the rank-sum identity for every user who has both classes; ties share their rank."""
    frame = pd.DataFrame({"user": users, "positive": positive.astype(np.float64), "predicted": predicted})
    frame["rank"] = frame.groupby("user")["predicted"].rank()
    frame["positive_rank"] = frame["rank"] * frame["positive"]
    by_user = frame.groupby("user").agg(
        rows=("positive", "size"), positives=("positive", "sum"), ranks=("positive_rank", "sum")
    )
    by_user["pairs"] = by_user["positives"] * (by_user["rows"] - by_user["positives"])
    by_user = by_user[by_user["pairs"] > 0].copy()
    by_user["auc"] = (by_user["ranks"] - by_user["positives"] * (by_user["positives"] + 1) / 2) / by_user["pairs"]
    return by_user


def flatten(metrics: Mapping[str, Metrics]) -> dict[str, float]:
    """{"ctr": {"auc": x}} to {"ctr_auc": x}, the undefined ones left out."""
    return {
        f"{task}_{name}": value
        for task, of_task in metrics.items()
        for name, value in of_task.items()
        if value is not None
    }
