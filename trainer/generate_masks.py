"""JOB: one mask a task, once (LT4REC Algorithm 1, lines 1 to 10).

    python -m trainer.generate_masks --config conf/demo.toml

For each task: train sNET from its initial weights on the first days under the mask so far, note its metric on the day
after, prune, re-initialise. Every finished round is kept, so a killed job goes on where it stopped. Of the pruned
rounds (1 to n_pruning) the one with the best metric becomes the task's mask; round 0 is trained for comparison.
"""

from conf import cli
from conf.errors import InputError
from conf.load import load_settings, model_for
from conf.paths import Paths, mask_version
from conf.settings.model_file import needs_masks
from etl.artefact import is_published


def main() -> None:
    parser = cli.parser("Generate task masks, once.")
    parser.add_argument("--model", help="model file in conf/models, without .toml; the run file's by default")
    arguments = parser.parse_args()
    settings = load_settings(arguments.config)
    names = [arguments.model] if arguments.model else [settings.ranker.model, settings.tagger.model]
    models = {name: model for name in names if needs_masks(model := model_for(settings, name))}
    if not models:
        raise InputError(
            f"no masks are used by {' or '.join(names)}",
            where="--model",
            hint="choose a model with sharing = 'sparse_weight'",
        )
    for name, model in models.items():
        version = mask_version(settings.masks.version, model.masks, settings.training.seed)
        target = Paths(settings.lake.root).masks(model.section, version)
        if is_published(target) and not arguments.force:
            print(f"masks {version}: present in {target}, nothing to do", flush=True)
            continue
        # imported late: every day but one finds the masks there, and PyTorch takes seconds to load
        from trainer.pruning.generation import generate

        generate(settings, model, name)


if __name__ == "__main__":
    cli.run(main)
