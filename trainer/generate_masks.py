"""JOB: find one mask for each task, once (LT4REC Algorithm 1, lines 1 to 10).

    sparsetag generate_masks --config conf/demo.toml

For each task: train sNET from its initial weights on the first days under the mask so far, evaluate it on the day
after, prune, and start again from the initial weights. Every finished round is kept, so that a killed job resumes. The
pruned round (1 to n_pruning) with the best metric becomes the task's mask; round 0 is trained for comparison.
"""

import argparse

from conf import cli
from conf.errors import InputError
from conf.load import model_for
from conf.log import event
from conf.paths import Paths, mask_version
from conf.settings.model_file import needs_masks
from conf.settings.run_file import Settings
from etl.artefact import is_published


def parser() -> argparse.ArgumentParser:
    made = cli.parser("Generate task masks, once.")
    made.add_argument("--model", help="model file in conf/models, without .toml; by default the run file's models")
    return made


def main() -> None:
    arguments = parser().parse_args()
    generate_masks(cli.load(arguments), arguments.model, force=arguments.force)


def generate_masks(settings: Settings, model_name: str | None = None, *, force: bool = False) -> None:
    """Publishes the masks of one model, or of the run file's models; raises InputError when none of them uses masks."""
    names = [model_name] if model_name else [settings.ranker.model, settings.tagger.model]
    masked = {name: model for name in names if needs_masks(model := model_for(settings, name))}
    if not masked:
        raise InputError(
            f"no masks are used by {' or '.join(names)}",
            where="--model",
            hint="choose a model with [sharing] kind = 'sparse_weight'",
        )
    for name, model in masked.items():
        version = mask_version(settings.masks.version, model.sharing.mask_suffix, settings.training.seed)
        if is_published(target := Paths(settings.lake.root).masks(model.family, version)) and not force:
            event("masks are published already", version=version, folder=target)
            continue
        # imported late: on every day but one the masks are there, and PyTorch takes seconds to load
        from trainer.pruning.generation import generate

        generate(settings, model, name)


if __name__ == "__main__":
    cli.run(main)
