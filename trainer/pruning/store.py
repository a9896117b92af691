"""Masks on disk: masks/<family>/<version>, one 0/1 tensor for each task and layer, and the history of the rounds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from conf.errors import InputError
from conf.paths import Paths, mask_version
from conf.settings.model_file import NetworkModel
from conf.settings.run_file import Settings
from etl.artefact import read_manifest, write_manifest
from trainer.models.build import mask_shapes
from trainer.parts.mask import Mask, identity

FILE = "masks.pt"


def version(settings: Settings, model: NetworkModel) -> str:
    return mask_version(settings.masks.version, model.sharing.mask_suffix, settings.training.seed)


def folder(settings: Settings, model: NetworkModel) -> Path:
    return Paths(settings.lake.root).masks(model.family, version(settings, model))


def write(staging: Path, masks: Mapping[str, Mask], manifest: Mapping[str, Any]) -> None:
    tensors = {task: {n: layer.to(torch.uint8) for n, layer in mask.layers.items()} for task, mask in masks.items()}
    torch.save(tensors, staging / FILE)
    write_manifest(staging, {**manifest, "masks": identity(masks)})


def read(published: Path, hint: str) -> tuple[dict[str, Mask], dict[str, Any]]:
    """Masks by task, and the manifest; raises InputError when they are missing."""
    manifest = read_manifest(published, hint=hint)
    tensors = torch.load(published / FILE, weights_only=True)
    masks = {task: Mask({n: layer.bool() for n, layer in layers.items()}) for task, layers in tensors.items()}
    return masks, manifest


def load_for(settings: Settings, model: NetworkModel) -> dict[str, Mask]:
    """The published masks, checked against the model that will use them; raises InputError."""
    where = folder(settings, model)
    hint = "make them first: sparsetag generate_masks (with --model for a model that the run file does not name)"
    masks, manifest = read(where, hint=hint)
    check_architecture(masks, set(model.heads), mask_shapes(model, settings), where)
    check_domain(manifest["model"].get("domain", {"kind": "none"}), model, where)
    return masks


def check_domain(found_with: Mapping[str, Any], model: NetworkModel, where: object) -> None:
    """Raises InputError for masks that were found without the model's clusters or domains in place."""
    wanted = model.domain.model_dump(mode="json")
    if found_with != wanted:
        raise InputError(
            f"masks found with [domain] {found_with}, but the model has {wanted}",
            where=where,
            hint="give the model masks of its own: set [sharing] masks to a new name, and run generate_masks for it",
        )


def check_architecture(masks: Mapping[str, Mask], tasks: set[str], shapes: dict[str, list[int]], where: object) -> None:
    """Raises InputError for masks that were found for other tasks or other layers."""
    hint = "choose another [masks] version, generate masks for this model, or go back to the model they were made for"
    if set(masks) != tasks:
        raise InputError(f"masks for {sorted(masks)}, but the model has tasks {sorted(tasks)}", where=where, hint=hint)
    for task, mask in masks.items():
        if mask.shapes() != shapes:
            raise InputError(
                f"mask of another architecture: task {task} has layers {mask.shapes()}, the model has {shapes}",
                where=where,
                hint=hint,
            )
