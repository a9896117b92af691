"""Training what a comparison needs: every model with every seed, up to the last day."""

from collections.abc import Mapping

from conf import log
from conf.settings.model_file import Model, needs_masks
from conf.settings.run_file import Settings
from etl.artefact import is_published
from trainer.comparison.request import Request
from trainer.daily.open import open_run
from trainer.daily.train import train_missing
from trainer.pruning import store as mask_store
from trainer.pruning.generation import generate


def train_all(settings: Settings, request: Request, models: Mapping[str, Model]) -> None:
    """Generates missing masks and trains missing days, seed by seed: every model has its first seed early."""
    work = [(seed, name) for seed in range(request.seeds) for name in models]
    for done, (seed, name) in enumerate(work):
        log.event("training for the comparison", model=name, seed=seed, left=len(work) - done, of=len(work))
        seeded, model = with_seed(settings, seed), models[name]
        if needs_masks(model) and not is_published(mask_store.folder(seeded, model)):
            generate(seeded, model, name)
        train_missing(open_run(seeded, request.family, name), request.last)


def with_seed(settings: Settings, seed: int) -> Settings:
    training = settings.training.model_copy(update={"seed": seed})
    return settings.model_copy(update={"training": training})
