"""Which pictures a day's run shows: its next-day calibration, and what is particular to its family."""

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from etl.artefact import is_published
from trainer.daily.run import DailyRun
from trainer.data import vocabulary
from trainer.evaluation.predictions import read_predictions
from trainer.models.base import Predictor
from trainer.tracking import figures

MOST_TAGS = 40


def of_day(run: DailyRun[Predictor], day: date, model: Predictor) -> dict[str, Figure]:
    """name -> figure"""
    shown = _OF_FAMILY[run.model.family](run, day, model)
    predictions = run.paths.predictions(run.family, run.name, day)
    if is_published(predictions) and (curves := deciles(read_predictions(predictions))):
        shown["next_day_calibration"] = figures.calibration_curve(curves)
    return shown


def deciles(predictions: pd.DataFrame) -> dict[str, tuple[list[float], list[float]]]:
    """Mean prediction and mean label in ten equal groups of predictions, by task."""
    curves = {}
    for task, frame in predictions[predictions["defined"] > 0].groupby("task"):
        groups = np.array_split(frame.sort_values("prediction", kind="stable")[["prediction", "label"]].to_numpy(), 10)
        means = [group.mean(0) for group in groups if len(group)]
        curves[str(task)] = ([float(m[0]) for m in means], [float(m[1]) for m in means])
    return curves


def _of_ranker(run: DailyRun[Predictor], day: date, model: Any) -> dict[str, Figure]:
    return {}


def _of_gbdt(run: DailyRun[Predictor], day: date, model: Any) -> dict[str, Figure]:
    """What the trees of each task look at, when any could be grown."""
    importance = model.importance()
    return {"feature_importance": figures.feature_importance(importance)} if importance else {}


def _of_tagger(run: DailyRun[Predictor], day: date, model: Any) -> dict[str, Figure]:
    """MVKE figure 8: how much each VKE counts for each tag, by task."""
    names = vocabulary.values(run.paths, day, run.settings.tagger.tag_feature)
    ids = list(names)[:MOST_TAGS]
    gates = model.gate_weights(ids)
    return {
        f"gate_weights_{task}": figures.gate_heatmap(weights, [names[n] for n in ids], task)
        for task, weights in gates.items()
        if weights.shape[1] > 1
    }


_OF_FAMILY = {"ranker": _of_ranker, "gbdt": _of_gbdt, "tagger": _of_tagger}
