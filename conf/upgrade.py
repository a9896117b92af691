"""Files written for sparsetag 0.1 are refused with the new name of each changed key."""

import os
from pathlib import Path
from typing import Any

from conf.errors import InputError

HINT = "change these keys; docs/how-to/upgrade.md shows each file before and after"
RUN_KEYS = {  # section.key -> its new name
    "labels.converted_at": "conversion_threshold",
    "masks.fraction": "prune_fraction",
    "source.early_hours": "early_tolerance_hours",
}
MODELS = {
    "mvke_drawn": "mvke_negatives",
    "two_tower_drawn": "two_tower_negatives",
    "two_tower_hard_drawn": "two_tower_hard_negatives",
}
MODEL_KEYS = {
    "embedding_dim": "[embedding] dim",
    "numeric": "[embedding] numeric",
    "exclusive": "[embedding.exclusive] heads",
    "exclusive_dim": "[embedding.exclusive] dim",
    "hidden": "[sharing] hidden (hard: bottom_hidden and tower_hidden; moe, mmoe, cgc: expert_hidden and tower_hidden)",
    "shared_layers": "the split of hidden into bottom_hidden or expert_hidden, and tower_hidden",
    "experts": "[sharing] experts",
    "own_experts": "[sharing] task_experts",
    "masks": "[sharing] masks",
    "virtual_kernels": "[sharing] virtual_kernels",
    "attention_dim": "[sharing] attention_dim",
    "attention": "[sharing] attention",
    "gate": "[sharing] gate",
    "assignment": "[sharing.assignment]",
    "averaging": "ema_decay",
    "drawn": "negatives",
}
WITH_KERNELS = {"assigned": "mvke", "single": "mvke_single", "sparse_weight": "mvke_sparse"}


def refuse_old_run_file(path: Path, declared: dict[str, Any]) -> None:
    """Raises InputError that names every key of a run file, or override of one, that 0.1 called otherwise."""
    changes = []
    for key, new in RUN_KEYS.items():
        variable = f"SPARSETAG_{key.replace('.', '__')}".upper()
        if variable in os.environ:
            changes.append(f"{variable} in the environment is now {variable.rpartition('__')[0]}__{new.upper()}")
    for section, content in declared.items():
        for key in content if isinstance(content, dict) else ():
            if f"{section}.{key}" in RUN_KEYS:
                changes.append(f"[{section}] {key} is now {RUN_KEYS[f'{section}.{key}']}")
    for section in ("ranker", "tagger"):
        name = declared.get(section, {}).get("model")
        if name in MODELS:
            changes.append(f"[{section}] model = '{name}' is now '{MODELS[name]}'")
    _refuse(path, changes)


def refuse_old_model_name(name: str, where: Path) -> None:
    if new := MODELS.get(name):
        raise InputError(f"model '{name}' is now '{new}'", where=where, hint=f"use '{new}'")


def refuse_old_model_file(path: Path, declared: dict[str, Any]) -> None:
    """Raises InputError that names every key of a model file that 0.1 called otherwise, or put elsewhere."""
    family, sharing, tasks = declared.get("family"), declared.get("sharing"), declared.get("tasks")
    changes = []
    if family == "gbdt":
        changes.append("family = 'gbdt' is now family = 'ranker' and kind = 'gbdt'")
    elif family == "ranker" and "kind" not in declared:
        changes.append("family = 'ranker' now goes with kind = 'network'")
    if isinstance(sharing, str):
        kind = WITH_KERNELS.get(sharing, sharing) if declared.get("virtual_kernels") else sharing
        changes.append(f"sharing = '{sharing}' is now [sharing] kind = '{kind}'")
    changes += [f"{key} is now {new}" for key, new in MODEL_KEYS.items() if key in declared]
    objective = declared.get("objective")
    if isinstance(objective, str):
        changes.append(f"objective = '{objective}' is now [objective] kind = '{objective}'")
    if family == "ranker" and "conversion" in declared and declared.get("kind") != "gbdt":
        changes.append("conversion is now [objective] conversion")
    if family == "ranker" and isinstance(tasks, dict):
        new = "[objective.tasks]" if objective in (None, "ctr_cvr") else "[objective.weights], a number a loss"
        changes.append(f"[tasks] is now {new}")
    _refuse(path, changes)


def _refuse(path: Path, changes: list[str]) -> None:
    if changes:
        raise InputError(f"written for sparsetag 0.1: {'; '.join(changes)}", where=path, hint=HINT)
