"""All rounds of all tasks, logged to MLflow as they end, and the masks published (LT4REC Algorithm 1)."""

import shutil
from functools import partial

from conf.paths import Paths
from conf.settings.model_file import RankerModel, TaggerModel
from conf.settings.run_file import Settings
from etl.artefact import publish
from trainer.objectives.build import objective_of
from trainer.objectives.task import Task
from trainer.pruning import store as mask_store
from trainer.pruning.prune import overlap
from trainer.pruning.rounds import Pruning, Round, best_round
from trainer.tracking import figures
from trainer.tracking import mlflow_runs as tracking


def generate(settings: Settings, model: RankerModel | TaggerModel, name: str) -> None:
    """Runs all rounds of all tasks, logs them, publishes the masks."""
    paths = Paths(settings.lake.root)
    version = mask_store.version(settings, model)
    pruning = Pruning(settings, model)
    day = pruning.validation_day
    tags = {"family": model.section, "model": name, "job": "generate_masks", "version": version}
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
        tasks = objective_of(model, settings).heads
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
        publish(paths, mask_store.folder(settings, model), partial(mask_store.write, masks=masks, manifest=content))
    shutil.rmtree(paths.mask_rounds(model.section, version))
    print(f"masks {version}: best rounds {numbers}, published in {mask_store.folder(settings, model)}", flush=True)
