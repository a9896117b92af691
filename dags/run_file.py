"""Which run file the DAGs carry out: the environment variable SPARSETAG_CONFIG, or the demo."""

import os
from datetime import date, timedelta
from pathlib import Path

from conf.load import MODELS, load_model, load_settings
from conf.paths import mask_version
from conf.settings.model_file import needs_masks
from conf.settings.run_file import Settings

PROJECT = Path(__file__).resolve().parents[1]
CONFIG = os.environ.get("SPARSETAG_CONFIG", "conf/demo.toml")


def settings() -> Settings:
    """The run file's settings; a relative path counts from the project folder, as it does for the jobs."""
    return load_settings(PROJECT / CONFIG)


def models_of(section: str) -> list[str]:
    """Names of the model files that declare a ranker, or a tagger, in order."""
    names = sorted(path.stem for path in MODELS.glob("*.toml"))
    return [name for name in names if load_model(name).family == section]


def masks_wanted(run: Settings) -> dict[str, str]:
    """Section (ranker, tagger) -> version of the task masks that its model needs, which have to be found first."""
    models = [load_model(name) for name in (run.ranker.model, run.tagger.model)]
    return {
        model.family: mask_version(run.masks.version, model.sharing.mask_suffix, run.training.seed)
        for model in models
        if needs_masks(model)
    }


def validation_day(run: Settings) -> date:
    """The day after the days that the masks are trained on: their rounds are compared on it."""
    return run.training.start + timedelta(days=run.masks.train_days)
