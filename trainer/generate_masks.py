"""JOB: one mask a task by iterative magnitude pruning, once (LT4REC Algorithm 1, lines 1 to 10).

    python -m trainer.generate_masks --config conf/demo.toml

For each task: train sNET from its initial weights on the first days under the mask so far, note its metric on the day
after, prune, re-initialise. Every finished round is kept, so a killed job goes on where it stopped. Of the pruned
rounds (1 to n_pruning) the one with the best metric becomes the task's mask; round 0 is trained for comparison.
"""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import torch

from conf import cli
from conf.load import load_model, load_settings
from conf.models import RankerModel
from conf.paths import Paths
from conf.refusal import Refusal
from conf.settings import Settings
from etl.publish import identity, is_published, publish
from trainer import figures, mask_store, optimiser, tracking, vocabulary
from trainer.device import device
from trainer.loop import train_pass
from trainer.mask import Mask, overlap, prune
from trainer.metrics import flatten
from trainer.objective import Task, ranking_tasks
from trainer.predict import metrics_by_task, predict
from trainer.ranker import TASKS, build, snet_shapes, snet_weights
from trainer.reader import Waiting, read
from trainer.seeding import seed_of


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
    days = [settings.training.start + timedelta(days=n) for n in range(settings.masks.train_days + 1)]
    samples = {str(day): _samples_identity(paths, day) for day in days}
    made_from: dict[str, Any] = {
        "model": model.model_dump(mode="json"),
        "masks": settings.masks.model_dump(mode="json"),
        "seed": settings.training.seed,
        "samples": samples,
    }
    tags = {"family": "ranker", "model": name, "job": "generate_masks", "version": version}
    history: dict[str, list[dict[str, Any]]] = {}
    chosen: dict[str, Mask] = {}
    best: dict[str, int] = {}
    with tracking.run(settings, "masks", f"masks {version}", key=f"masks/{version}", tags=tags) as parent:
        parent.params({**_params(settings, model, name), "train_days": len(days) - 1, "validation_day": days[-1]})
        for day in days:
            role = "validation" if day == days[-1] else "training"
            parent.dataset(paths.samples(day), samples[str(day)], role)
        for task in ranking_tasks(model):
            mask, rounds = None, []
            for number in range(settings.masks.rounds + 1):
                mask, record = _round(settings, model, task, number, mask, days, made_from)
                rounds.append({**record, "mask": mask})
                print(
                    f"masks {version}: {task.name} round {number} of {settings.masks.rounds}, "
                    f"{record['pruned_share']:.1%} pruned, {task.metric} {record['metric']:.5f} on {days[-1]}",
                    flush=True,
                )
                with tracking.run(
                    settings, "masks", f"masks {version} {task.name} round {number}",
                    key=f"masks/{version}/{task.name}/{number}", tags={**tags, "task": task.name}, parent=parent,
                ) as child:  # fmt: skip
                    child.params({**_params(settings, model, name), "task": task.name, "round": number})
                    child.metrics({"pruned_share": record["pruned_share"], **record["metrics"]}, days[-1])
                parent.metrics({f"{task.name}_{task.metric}": record["metric"]}, days[-1], step=number)
            best[task.name] = best_round(task, [record["metric"] for record in rounds])
            chosen[task.name] = rounds[best[task.name]]["mask"]
            history[task.name] = [{k: v for k, v in record.items() if k != "mask"} for record in rounds]
        shares = overlap(chosen)
        parent.metrics({f"{task}_best_round": number for task, number in best.items()}, days[-1])
        parent.metrics({f"{task}_pruned_share": mask.pruned_share for task, mask in chosen.items()}, days[-1])
        metrics = {task.name: task.metric for task in ranking_tasks(model)}
        parent.figure(figures.pruning_curves(history, metrics, best), "metric_by_pruning_round")
        parent.figure(figures.mask_overlap(shares), "mask_overlap_by_layer")
        manifest = {**made_from, "best_round": best, "history": history, "overlap": shares, "version": version}
        publish(paths, mask_store.folder(settings), lambda staging: mask_store.write(staging, chosen, manifest))
    print(f"masks {version}: best rounds {best}, published in {mask_store.folder(settings)}", flush=True)


def best_round(task: Task, metrics: list[float]) -> int:
    """The round from 1 on with the best metric (Algorithm 1, line 8); the earlier, denser one on a tie."""
    best = 1
    for number in range(2, len(metrics)):
        if task.better(metrics[number], metrics[best]):
            best = number
    return best


def _round(
    settings: Settings,
    model: RankerModel,
    task: Task,
    number: int,
    outer: Mask | None,
    days: list[date],
    made_from: Mapping[str, Any],
) -> tuple[Mask, dict[str, Any]]:
    """The mask of a round and the record of training under it; the next mask comes from the weights kept beside it.

    Each round publishes its own mask, its metric and the mask that pruning it gives, so that it can be resumed.
    """
    paths = Paths(settings.lake.root)
    target = paths.mask_rounds("ranker", mask_store.version(settings)) / task.name / f"round={number}"
    if is_published(target):
        masks, manifest = mask_store.read(target, remedy="")
        if {key: manifest.get(key) for key in made_from} == dict(made_from):
            return masks["this"], manifest["record"]
    shapes = snet_shapes(model, settings)
    mask = Mask({n: torch.ones(shape, dtype=torch.bool) for n, shape in shapes.items()})
    if number > 0:
        previous = paths.mask_rounds("ranker", mask_store.version(settings)) / task.name / f"round={number - 1}"
        mask = mask_store.read(previous, remedy="remove the folder _rounds and run again")[0]["next"]
        assert outer is not None and mask.nested_in(outer)
    record, weights = _train_and_validate(settings, model, task, mask, days)
    following = prune(mask, weights, settings.masks.fraction)
    content = {**made_from, "record": {"round": number, "pruned_share": mask.pruned_share, **record}}
    publish(paths, target, lambda staging: mask_store.write(staging, {"this": mask, "next": following}, content))
    return mask, dict(content["record"])


def _train_and_validate(
    settings: Settings, model: RankerModel, task: Task, mask: Mask, days: list[date]
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """One epoch of the task over the training days from the initial weights under the mask; metrics on the last day."""
    paths = Paths(settings.lake.root)
    where = device(settings.training.device)
    sizes = vocabulary.sizes(paths, days[-2])
    network = build(model, settings, sizes, settings.training.seed, dict.fromkeys(TASKS, mask)).to(where)
    adam = optimiser.build(network, model.optimiser)
    for day in days[:-1]:
        waiting = Waiting()
        seed = seed_of(settings.training.seed, "rows", day)
        groups = read(paths.samples(day), settings.features, shuffle_seed=seed, waiting=waiting)
        train_pass(network, adam, groups, [task], model.optimiser.batch_size, where, waiting)
    metrics = metrics_by_task(predict(network, [task], paths.samples(days[-1]), settings.features, where))
    value = metrics[task.name][task.metric]
    if value is None:
        raise Refusal(
            f"{task.metric} of task {task.name} is undefined on the validation day",
            where=paths.samples(days[-1]),
            remedy="choose other [masks] train_days, so that the day after holds both classes",
        )
    return {"metric": value, "metrics": flatten(metrics)}, snet_weights(network)


def _samples_identity(paths: Paths, day: date) -> str:
    if not is_published(paths.samples(day)):
        raise Refusal(
            "no samples", where=paths.samples(day), remedy=f"build them: python -m etl.build_samples --day {day}"
        )
    return identity(paths.samples(day))


def _params(settings: Settings, model: RankerModel, name: str) -> dict[str, object]:
    return {
        "model": name,
        "seed": settings.training.seed,
        "rounds": settings.masks.rounds,
        "fraction": settings.masks.fraction,
        "hidden": model.hidden,
        "embedding_dim": model.embedding_dim,
        "learning_rate": model.optimiser.learning_rate,
        "batch_size": model.optimiser.batch_size,
    }


if __name__ == "__main__":
    cli.run(main)
