"""JOB: one day of incremental training.

    python -m trainer.train_day --config conf/demo.toml --family ranker --day 2026-01-07

First the model of the day before predicts the day (so every metric is out of sample), the predictions are stored, and
only then the day is trained on: a network goes on from where it stood, trees are fit to all days so far. Days since
[training] start that have no model yet are trained first, in order: the model of a day depends on the samples from the
start to that day, and on nothing else.
"""

from datetime import date
from typing import Any

import numpy as np

from conf import cli
from conf.errors import InputError
from conf.load import load_settings
from etl.artefact import identity, is_published, publish, read_manifest
from trainer.daily import plots as pictures
from trainer.daily.open import add_model, open_run
from trainer.daily.run import STEP, DailyRun, TrainedDay
from trainer.data import vocabulary
from trainer.evaluation.metrics import flatten
from trainer.evaluation.predict import metrics_by_task, predict
from trainer.evaluation.predictions import write_predictions
from trainer.tracking import mlflow_runs as tracking


def main() -> None:
    parser = cli.parser("Train a model on a day, after it predicted that day.")
    parser.add_argument("--family", choices=["ranker", "tagger"], required=True)
    cli.add_days(parser)
    add_model(parser)
    arguments = parser.parse_args()
    settings = load_settings(arguments.config)
    wanted = cli.chosen_days(arguments)
    start = settings.training.start
    if wanted[0] < start:
        raise InputError(
            f"{wanted[0]} lies before [training] start = {start}", where="--day", hint="choose a later day"
        )
    run = open_run(settings, arguments.family, arguments.model)
    train_missing(run, wanted[-1], forced_from=wanted[0] if arguments.force else None)


def train_missing(run: DailyRun, last: date, forced_from: date | None = None) -> None:
    """Trains the days up to the last one that have no model yet, in order; from `forced_from` on all of them."""
    for day in cli.days(run.settings.training.start, last):
        target = run.paths.model(run.family, run.name, day)
        if is_published(target) and not (forced_from and day >= forced_from):
            if day == last:
                run.check(day)
                print(f"{run.family} {run.name} {day}: present in {target}, nothing to do", flush=True)
            continue
        train(run, day)


def train(run: DailyRun, day: date) -> None:
    """Predicts the day, trains on it, logs and publishes; the model is published last."""
    paths, samples = run.paths, run.paths.samples(day)
    read_manifest(samples, hint=f"build the samples: python -m etl.build_samples --day {day}")
    sizes = vocabulary.sizes(paths, day)
    metrics = {} if day == run.settings.training.start else _predict_next_day(run, day)
    learnt = run.learn(day, sizes)
    done = learnt.done
    if unlearnt := [name for name, loss in done.losses.items() if not np.isfinite(loss)]:
        raise InputError(
            f"the loss of {', '.join(unlearnt)} is not finite",
            where=samples,
            hint="lower the learning rate in the model file",
        )
    manifest = {
        **run.identity(day),
        "sizes": sizes,
        "samples": identity(samples),
        "metrics": metrics,
        "losses": done.losses,
        "rows": done.rows,
        **learnt.made,
    }
    _log(run, day, manifest, learnt)
    publish(paths, paths.model(run.family, run.name, day), lambda staging: learnt.save(staging, manifest))
    print(
        f"{run.family} {run.name} {day}: {done.rows:,} rows in {done.seconds:.1f} s; {_sentence(metrics)}", flush=True
    )


def _predict_next_day(run: DailyRun, day: date) -> dict[str, Any]:
    """Metrics of yesterday's model on the day; its predictions are stored first."""
    paths = run.paths
    target = paths.predictions(run.family, run.name, day)
    model_identity = identity(paths.model(run.family, run.name, day - STEP))
    made_from = {"model": model_identity, "samples": identity(paths.samples(day))}
    if is_published(target):
        manifest = read_manifest(target, hint="")
        if {key: manifest.get(key) for key in made_from} == made_from:
            return dict(manifest["metrics"])
    model = run.restored(day - STEP)
    predictions = predict(model, run.objective, paths.samples(day), run.settings.features, run.device)
    metrics = metrics_by_task(predictions)
    content = {**made_from, "day": str(day), "metrics": metrics, "rows": len(predictions)}
    publish(paths, target, lambda staging: write_predictions(staging, predictions, content))
    return dict(metrics)


def _log(run: DailyRun, day: date, manifest: dict[str, Any], learnt: TrainedDay) -> None:
    done, tags = learnt.done, {"family": run.family, "model": run.name, "job": "train_day"}
    params = {"model": run.name, "seed": run.settings.training.seed, **run.model.choices()}
    history = tracking.history(run.settings, run.family, run.name, tags, params)
    step = (day - run.settings.training.start).days
    values = flatten(manifest["metrics"]) | {f"{task}_loss": loss for task, loss in done.losses.items()}
    history.metrics(values, day, step)
    title, key = f"{run.name} {day}", f"{run.name}/{day}"
    today_tags = {**tags, "day": str(day)}
    with tracking.run(run.settings, run.family, title, key=key, tags=today_tags, parent=history) as today:
        today.params({**params, "day": day, "device": run.device.type})
        today.metrics(values | {"waiting_share": done.waiting_share, "seconds": done.seconds}, day, step)
        today.dataset(run.paths.samples(day), manifest["samples"], "training")
        for name, figure in pictures.of_day(run, day, learnt.model).items():
            today.figure(figure, name)


def _sentence(metrics: dict[str, Any]) -> str:
    if not metrics:
        return "first day, nothing to predict it with"
    shown = [
        f"{task} {name} {of_task[name]:.4f}" if of_task[name] is not None else f"{task} {name} undefined"
        for task, of_task in metrics.items()
        for name in (("auc", "mse") if task == "cvr" else ("auc",))
    ]
    return "next-day " + ", ".join(shown)


if __name__ == "__main__":
    cli.run(main)
