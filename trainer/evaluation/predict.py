"""Predictions of a day's rows: by the model of the day before, before today's model trains on them."""

from pathlib import Path

import pandas as pd
import torch

from etl.contract import PREDICTIONS
from trainer.data.layout import Layout
from trainer.data.reader import read
from trainer.models.base import Predictor
from trainer.objectives.objective import Objective

KEYS = ["impression_id", "user_id", "item_id", "domain"]
CHUNK = 1024  # rows of a forward pass, whose inputs and hidden layers then fit the processor's cache


def predict(model: Predictor, objective: Objective, folder: Path, layout: Layout, device: torch.device) -> pd.DataFrame:
    """Every row of samples/dt=D (`folder`) once for each target; columns of contract.PREDICTIONS."""
    frames = []
    with torch.inference_mode():
        for group in read(folder, layout, keys=KEYS, labels=objective.label_columns, values=model.value_columns):
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
    return pd.concat(frames, ignore_index=True)[PREDICTIONS.names]
