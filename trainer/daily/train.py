"""A day of training: predict it with yesterday's model, train on it, log, publish."""

from datetime import date
from typing import Any

import numpy as np

from conf import cli
from conf.errors import InputError
from conf.log import event
from etl.artefact import identity, is_published, publish, read_manifest, up_to_date
from trainer.daily import plots
from trainer.daily.run import ONE_DAY, DailyRun, TrainedDay
from trainer.data import vocabulary
from trainer.evaluation.metrics import flatten, metrics_by_task
from trainer.evaluation.predict import predict
from trainer.evaluation.predictions import write_predictions
from trainer.models.base import Predictor
from trainer.tracking import mlflow_runs


def train_missing(run: DailyRun[Predictor], last: date, forced_from: date | None = None) -> None:
    """Trains the days up to the last one that have no model yet, in order, and all days from `forced_from` on."""
    for day in cli.days(run.settings.training.start, last):
        target = run.paths.model(run.family, run.name, day)
        if is_published(target) and not (forced_from and day >= forced_from):
            if day == last:
                run.check(day)
                event("model is published already", family=run.family, model=run.name, day=day, folder=target)
            continue
        train(run, day)


def train(run: DailyRun[Predictor], day: date) -> None:
    """Predicts the day, trains on it, logs and publishes; the model is published last."""
    paths, samples = run.paths, run.paths.samples(day)
    read_manifest(samples, hint=f"build the samples: sparsetag build_samples --day {day}")
    sizes = vocabulary.sizes(paths, day)
    metrics = {} if day == run.settings.training.start else _predict_next_day(run, day)
    trained = run.train(day, sizes)
    result = trained.result
    if diverged := [name for name, loss in result.losses.items() if not np.isfinite(loss)]:
        raise InputError(
            f"the loss of {', '.join(diverged)} is not finite",
            where=samples,
            hint="lower the learning rate in the model file",
        )
    manifest = {
        **run.identity(day),
        "sizes": sizes,
        "samples": identity(samples),
        "metrics": metrics,
        "losses": result.losses,
        "rows": result.rows,
        **trained.manifest,
    }
    _log(run, day, manifest, trained)
    publish(paths, paths.model(run.family, run.name, day), lambda staging: trained.save(staging, manifest))
    fields = {"family": run.family, "model": run.name, "day": day, "rows": result.rows}
    event("model published", **fields, seconds=round(result.seconds, 1), **_headline(metrics))


def _predict_next_day(run: DailyRun[Predictor], day: date) -> dict[str, Any]:
    """Metrics of yesterday's model on the day; its predictions are published first."""
    paths = run.paths
    target = paths.predictions(run.family, run.name, day)
    model_identity = identity(paths.model(run.family, run.name, day - ONE_DAY))
    made_from = {"model": model_identity, "samples": identity(paths.samples(day))}
    if up_to_date(target, made_from):
        return dict(read_manifest(target, hint="run the job again")["metrics"])
    model = run.load_model(day - ONE_DAY)
    predictions = predict(model, run.objective, paths.samples(day), run.layout, run.device)
    metrics = metrics_by_task(predictions)
    content = {**made_from, "day": str(day), "metrics": metrics, "rows": len(predictions)}
    publish(paths, target, lambda staging: write_predictions(staging, predictions, content))
    return dict(metrics)


def _log(run: DailyRun[Predictor], day: date, manifest: dict[str, Any], trained: TrainedDay) -> None:
    result, tags = trained.result, {"family": run.family, "model": run.name, "job": "train_day"}
    params = {"model": run.name, "seed": run.settings.training.seed, **run.model.choices()}
    history = mlflow_runs.history(run.settings, run.family, run.name, tags, params)
    step = (day - run.settings.training.start).days
    values = flatten(manifest["metrics"]) | {f"{task}_loss": loss for task, loss in result.losses.items()}
    values |= trained.metrics
    history.metrics(values, day, step)
    title, key = f"{run.name} {day}", f"{run.name}/{day}"
    day_tags = {**tags, "day": str(day)}
    with mlflow_runs.run(run.settings, run.family, title, key=key, tags=day_tags, parent=history) as of_day:
        of_day.params({**params, "day": day, "device": run.device.type})
        of_day.metrics(values | {"waiting_share": result.waiting_share, "seconds": result.seconds}, day, step)
        of_day.dataset(run.paths.samples(day), manifest["samples"], "training")
        predictions = run.paths.predictions(run.family, run.name, day)
        for name, figure in {**trained.figures(), **plots.next_day_calibration(predictions)}.items():
            of_day.figure(figure, name)


def _headline(metrics: dict[str, Any]) -> dict[str, str]:
    """The next-day metrics that people look at first; none on the first day, which nothing predicts."""
    shown = {
        f"{task}_{name}": of_task[name]
        for task, of_task in metrics.items()
        for name in (("auc", "mse") if task == "cvr" else ("auc",))
    }
    return {name: "undefined" if value is None else f"{value:.4f}" for name, value in shown.items()}
