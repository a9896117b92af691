"""The predictions that are compared, read from the lake."""

import pandas as pd

from conf.paths import Paths, run_name
from etl.artefact import read_manifest
from trainer.comparison.request import Request
from trainer.evaluation.predictions import read_predictions


def predictions_of(paths: Paths, request: Request, model: str, seed: int) -> pd.DataFrame:
    """contract.PREDICTIONS of a model and seed on the request's days, and `day`; raises InputError when absent."""
    frames = []
    for day in request.days:
        folder = paths.predictions(request.family, run_name(model, seed), day)
        hint = f"train it again: sparsetag train_day --family {request.family} --day {day} --force"
        read_manifest(folder, hint=hint)
        frames.append(read_predictions(folder).assign(day=str(day)))
    return pd.concat(frames, ignore_index=True)
