"""JOB: one mask a task, once (LT4REC Algorithm 1, lines 1 to 10).

    python -m trainer.generate_masks --config conf/demo.toml

For each task: train sNET from its initial weights on the first days under the mask so far, note its metric on the day
after, prune, re-initialise. Every finished round is kept, so a killed job goes on where it stopped. Of the pruned
rounds (1 to n_pruning) the one with the best metric becomes the task's mask; round 0 is trained for comparison.
"""

import shutil
from functools import partial

from conf import cli
from conf.load import load_model, load_settings
from conf.models import RankerModel
from conf.paths import Paths
from conf.refusal import Refusal
from conf.settings import Settings
from etl.publish import is_published, publish
from trainer import figures, mask_store, tracking
from trainer.mask import overlap
from trainer.mask_rounds import Pruning, Round, best_round
from trainer.objective import Task, ranking_tasks


def main() -> None:
    parser = cli.parser("Generate the task masks of sNET, once.")
    parser.add_argument("--model", help="model file in conf/models, without .toml; the run file's by default")
    arguments = parser.parse_args()
    settings = load_settings(arguments.config)
    name = arguments.model or settings.ranker.model
    model = load_model(name)
    if model.family != "ranker" or model.sharing != "sparse_weight":
        raise Refusal(
            f"model '{name}' uses no masks", where="--model", remedy="choose one with sharing = 'sparse_weight'"
        )
    target = mask_store.folder(settings)
    if is_published(target) and not arguments.force:
        mask_store.load_for(settings, model)
        print(f"masks {mask_store.version(settings)}: present in {target}, nothing to do", flush=True)
        return
    generate(settings, model, name)


def generate(settings: Settings, model: RankerModel, name: str) -> None:
    """Runs all rounds of all tasks, logs them, publishes the masks."""
    paths = Paths(settings.lake.root)
    version = mask_store.version(settings)
    pruning = Pruning(settings, model)
    day = pruning.validation_day
    tags = {"family": "ranker", "model": name, "job": "generate_masks", "version": version}
    params = {
        "model": name,
        "seed": settings.training.seed,
        "rounds": settings.masks.rounds,
        "fraction": settings.masks.fraction,
        "hidden": model.hidden,
        "embedding_dim": model.embedding_dim,
        **model.optimiser.model_dump(),
    }

    def log_round(task: Task, done: Round) -> None:
        print(
            f"masks {version}: {task.name} round {done.number} of {settings.masks.rounds}, "
            f"{done.mask.pruned_share:.1%} pruned, {task.metric} {done.metric:.5f} on {day}",
            flush=True,
        )
        title, key = f"masks {version} {task.name} round {done.number}", f"masks/{version}/{task.name}/{done.number}"
        with tracking.run(settings, "masks", title, key=key, tags={**tags, "task": task.name}, parent=parent) as child:
            child.params({**params, "task": task.name, "round": done.number})
            child.metrics({"pruned_share": done.mask.pruned_share, **done.metrics}, day)
        parent.metrics({f"{task.name}_{task.metric}": done.metric}, day, step=done.number)

    with tracking.run(settings, "masks", f"masks {version}", key=f"masks/{version}", tags=tags) as parent:
        parent.params({**params, "train_days": len(pruning.training_days), "validation_day": day})
        for trained in pruning.training_days:
            parent.dataset(paths.samples(trained), pruning.made_from["samples"][str(trained)], "training")
        parent.dataset(paths.samples(day), pruning.made_from["samples"][str(day)], "validation")
        tasks = ranking_tasks(model)
        rounds: dict[str, list[Round]] = {task.name: [] for task in tasks}
        for task in tasks:
            for done in pruning.rounds(task):
                log_round(task, done)
                rounds[task.name].append(done)
        best = {task.name: best_round(task, rounds[task.name]) for task in tasks}
        masks = {name: done.mask for name, done in best.items()}
        numbers = {name: done.number for name, done in best.items()}
        history = {name: [done.record() for done in of_task] for name, of_task in rounds.items()}
        shares = overlap(masks)
        parent.metrics({f"{name}_best_round": number for name, number in numbers.items()}, day)
        parent.metrics({f"{name}_pruned_share": mask.pruned_share for name, mask in masks.items()}, day)
        curves = figures.pruning_curves(history, {task.name: task.metric for task in tasks}, numbers)
        parent.figure(curves, "metric_by_pruning_round")
        parent.figure(figures.mask_overlap(shares), "mask_overlap_by_layer")
        content = {
            **pruning.made_from,
            "version": version,
            "best_round": numbers,
            "history": history,
            "overlap": shares,
        }
        publish(paths, mask_store.folder(settings), partial(mask_store.write, masks=masks, manifest=content))
    shutil.rmtree(paths.mask_rounds("ranker", version))
    print(f"masks {version}: best rounds {numbers}, published in {mask_store.folder(settings)}", flush=True)


if __name__ == "__main__":
    cli.run(main)
