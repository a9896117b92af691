"""Figures of a day's run in MLflow: calibration of the next-day predictions, and what the model itself shows."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from conf.paths import Paths
from conf.settings.run_file import Settings
from etl.artefact import is_published
from trainer.daily.trees import Trees
from trainer.data import vocabulary
from trainer.evaluation.predictions import read_predictions
from trainer.models.base import TaskModel
from trainer.models.tagger import Tagger
from trainer.tracking import figures

MOST_TAGS = 40


def next_day_calibration(predictions: Path) -> dict[str, Figure]:
    """predictions: the folder of a day; there is none on the first day."""
    curves = deciles(read_predictions(predictions)) if is_published(predictions) else {}
    return {"next_day_calibration": figures.calibration_curve(curves)} if curves else {}


def deciles(predictions: pd.DataFrame) -> dict[str, tuple[list[float], list[float]]]:
    """Mean prediction and mean label in ten equal groups of predictions, by task."""
    curves = {}
    for task, frame in predictions[predictions["defined"] > 0].groupby("task"):
        groups = np.array_split(frame.sort_values("prediction", kind="stable")[["prediction", "label"]].to_numpy(), 10)
        means = [group.mean(0) for group in groups if len(group)]
        curves[str(task)] = ([float(m[0]) for m in means], [float(m[1]) for m in means])
    return curves


def of_ranker(model: TaskModel, settings: Settings, day: date) -> dict[str, Figure]:
    """A network of fully connected layers has nothing to show."""
    return {}


def of_trees(trees: Trees) -> dict[str, Figure]:
    """Which features the trees of each task split on; nothing when no tree could be grown."""
    importance = trees.importance()
    return {"feature_importance": figures.feature_importance(importance)} if importance else {}


def of_tagger(tagger: Tagger, settings: Settings, day: date) -> dict[str, Figure]:
    """MVKE figure 8: the weight of each VKE for each tag, by task; nothing for a user tower of one vector."""
    names = vocabulary.values(Paths(settings.lake.root), day, settings.tagger.tag_feature)
    ids = list(names)[:MOST_TAGS]
    return {
        f"gate_weights_{task}": figures.gate_heatmap(weights, [names[n] for n in ids], task)
        for task, weights in tagger.gate_weights(ids).items()
        if weights.shape[1] > 1
    }
