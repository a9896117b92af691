"""Which run file the DAGs carry out: the environment variable SPARSETAG_CONFIG, or the demo."""

import os
from datetime import date, timedelta
from pathlib import Path

from conf.load import load_model, load_settings
from conf.models import RankerModel
from conf.settings import Settings

PROJECT = Path(__file__).resolve().parents[1]
CONFIG = os.environ.get("SPARSETAG_CONFIG", "conf/demo.toml")


def settings() -> Settings:
    """The run file's settings; a relative path counts from the project folder, as it does for the jobs."""
    return load_settings(PROJECT / CONFIG)


def wants_masks(run: Settings) -> bool:
    """Whether the ranker's network is shared under task masks, which have to be found first."""
    model = load_model(run.ranker.model)
    return isinstance(model, RankerModel) and model.sharing == "sparse_weight"


def validation_day(run: Settings) -> date:
    """The day after the days that the masks are trained on: their rounds are compared on it."""
    return run.training.start + timedelta(days=run.masks.train_days)
