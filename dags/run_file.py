"""The run file of the DAGs: the one that the environment variable SPARSETAG_CONFIG names, or the demo's."""

import os
from datetime import date, timedelta
from pathlib import Path

from conf.load import MODELS, load_model, load_settings
from conf.paths import mask_version
from conf.settings.model_file import needs_masks
from conf.settings.run_file import Settings

DAGS = Path(__file__).resolve().parent
CLONE = DAGS.parent
# where jobs run, and where relative paths count from: the clone, or for an installed package the working folder
FOLDER = CLONE if (CLONE / "pyproject.toml").is_file() else Path.cwd()
CONFIG = os.environ.get("SPARSETAG_CONFIG", "conf/demo.toml")


def settings() -> Settings:
    """The settings of the run file; a relative path counts from FOLDER, as it does for the jobs."""
    path = FOLDER / CONFIG
    return load_settings(path if path.is_file() else CONFIG)


def models_of(section: str) -> list[str]:
    """Sorted names of the model files that declare a ranker, or a tagger."""
    names = sorted(path.stem for path in MODELS.glob("*.toml"))
    return [name for name in names if load_model(name).family == section]


def masks_wanted(run: Settings) -> dict[str, str]:
    """Section (ranker, tagger) -> version of the task masks that its model needs; no entry without masks."""
    models = [load_model(name) for name in (run.ranker.model, run.tagger.model)]
    return {
        model.family: mask_version(run.masks.version, model.sharing.mask_suffix, run.training.seed)
        for model in models
        if needs_masks(model)
    }


def validation_day(run: Settings) -> date:
    """The day after the days that the masks are trained on. The pruning rounds are compared on it."""
    return run.training.start + timedelta(days=run.masks.train_days)
