"""Runs in MLflow: one for each model's history, and nested in it one for each day. The only module that imports mlflow.

A run is found again by its key (family, model, day, ...), so repeated work replaces its run instead of adding one.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from matplotlib.figure import Figure

from conf.settings.run_file import Settings

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, ViewType  # after the telemetry switch
from mlflow.tracking import MlflowClient

logging.getLogger("mlflow").setLevel(logging.WARNING)

KEY = "sparsetag.key"
_PARENT = "mlflow.parentRunId"


@dataclass(frozen=True)
class Run:
    """An open MLflow run."""

    client: MlflowClient
    id: str
    experiment: str

    def params(self, values: Mapping[str, object]) -> None:
        self.client.log_batch(self.id, params=[Param(key, str(value)) for key, value in values.items()])

    def metrics(self, values: Mapping[str, float], day: date, step: int = 0) -> None:
        """The timestamp is the day's, so that logging the same metrics again changes nothing."""
        timestamp = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
        self.client.log_batch(self.id, metrics=[Metric(key, value, timestamp, step) for key, value in values.items()])

    def figure(self, figure: Figure, name: str) -> None:
        self.client.log_figure(self.id, figure, f"{name}.png")

    def text(self, text: str, name: str) -> None:
        self.client.log_text(self.id, text, name)

    def dataset(self, folder: Path, digest: str, context: str) -> None:
        """An input of the run; digest: the hash of its manifest; context: training, validation, ..."""
        name = "/".join(folder.parts[-2:])
        source = Dataset(name, digest, "local", f'{{"uri": "{folder.resolve().as_uri()}"}}')
        self.client.log_inputs(self.id, [DatasetInput(source, [InputTag("mlflow.data.context", context)])])


def history(
    settings: Settings, experiment: str, name: str, tags: Mapping[str, str], params: Mapping[str, object]
) -> Run:
    """The run that holds a model's metrics by day as curves; created, with its params, on first use."""
    client, experiment_id = _connect(settings, experiment)
    key = f"history/{name}"
    found = _find(client, experiment_id, key)
    if found:
        return Run(client, found[0], experiment_id)
    created = Run(client, _create(client, experiment_id, name, key, tags), experiment_id)
    created.params(params)
    client.set_terminated(created.id)
    return created


@contextmanager
def run(
    settings: Settings, experiment: str, name: str, *, key: str, tags: Mapping[str, str], parent: Run | None = None
) -> Iterator[Run]:
    """A run for one piece of work, FINISHED or FAILED at the end; it replaces an earlier run of the same key."""
    client, experiment_id = _connect(settings, experiment)
    for old in _find(client, experiment_id, key):
        client.delete_run(old)
    parent_tag = {_PARENT: parent.id} if parent else {}
    run_id = _create(client, experiment_id, name, key, {**tags, **parent_tag})
    try:
        yield Run(client, run_id, experiment_id)
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id)


def _connect(settings: Settings, experiment: str) -> tuple[MlflowClient, str]:
    uri = settings.tracking.uri
    artifacts = None
    if uri.startswith("sqlite:///"):
        database = Path(uri.removeprefix("sqlite:///")).resolve()
        database.parent.mkdir(parents=True, exist_ok=True)
        uri = f"sqlite:///{database}?timeout=60"  # seconds to wait while another job writes; SQLite's default is 5
        artifacts = (database.parent / "mlartifacts").as_uri()
    client = MlflowClient(tracking_uri=uri)
    name = f"{settings.tracking.experiment}-{experiment}"
    found = client.get_experiment_by_name(name)
    if found:
        return client, found.experiment_id
    # the UI opens on runs and metrics instead of traces of language models
    kind = {"mlflow.experimentKind": "custom_model_development"}
    return client, client.create_experiment(name, artifact_location=artifacts, tags=kind)


def _find(client: MlflowClient, experiment_id: str, key: str) -> list[str]:
    runs = client.search_runs([experiment_id], f"tags.`{KEY}` = '{key}'", ViewType.ACTIVE_ONLY)
    return [found.info.run_id for found in runs]


def _create(client: MlflowClient, experiment_id: str, name: str, key: str, tags: Mapping[str, str]) -> str:
    created = client.create_run(
        experiment_id, tags={**tags, KEY: key, "mlflow.source.name": "sparsetag"}, run_name=name
    )
    return str(created.info.run_id)
