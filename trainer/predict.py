"""Next-day predictions: a day's rows scored by the model of the day before, before anybody trains on them."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow
import pyarrow.parquet
import torch

from conf.settings import Feature
from etl.contract import PREDICTIONS
from etl.publish import file_hash, write_manifest
from trainer.metrics import Metrics, evaluate
from trainer.objective import Objective
from trainer.reader import read
from trainer.task_model import Predictor

KEYS = ["impression_id", "user_id", "item_id", "domain"]
CHUNK = 1024  # rows at once: their inputs and hidden layers lie in the processor's cache


def predict(
    model: Predictor, objective: Objective, folder: Path, features: Sequence[Feature], device: torch.device
) -> pd.DataFrame:
    """Every row of samples/dt=D once for every target; columns of contract.PREDICTIONS."""
    frames = []
    with torch.inference_mode():
        for group in read(folder, features, keys=KEYS, labels=objective.label_columns, values=model.value_columns):
            chunks = [
                objective.probabilities(model.logits(group.rows(slice(n, n + CHUNK)).to(device), objective.head_names))
                for n in range(0, len(group), CHUNK)
            ]
            for target in objective.targets:
                frames.append(
                    pd.DataFrame(
                        {
                            **group.keys,
                            "task": target.name,
                            "label": group.labels[target.label].numpy(),
                            "positive": group.labels[target.positive].numpy(),
                            "defined": target.rows(group).float().numpy(),
                            "prediction": torch.cat([chunk[target.name] for chunk in chunks]).cpu().numpy(),
                        }
                    )
                )
    return pd.concat(frames, ignore_index=True)[list(PREDICTIONS)]


def metrics_by_task(predictions: pd.DataFrame) -> dict[str, Metrics]:
    return {str(task): evaluate(frame) for task, frame in predictions.groupby("task")}


def write_predictions(folder: Path, predictions: pd.DataFrame, manifest: dict[str, object]) -> None:
    """One Parquet file and its manifest into a staging folder."""
    types = {"string": pyarrow.string(), "float": pyarrow.float32()}
    schema = pyarrow.schema([(name, types[kind]) for name, kind in PREDICTIONS.items()])
    path = folder / "part-00000.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pandas(predictions, schema=schema, preserve_index=False), path)
    files = [{"name": path.name, "rows": len(predictions), "sha256": file_hash(path)}]
    write_manifest(folder, {**manifest, "files": files})


def read_predictions(folder: Path) -> pd.DataFrame:
    return pyarrow.parquet.read_table(folder / "part-00000.parquet").to_pandas()
