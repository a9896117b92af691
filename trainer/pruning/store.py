"""Masks on disk: masks/<family>/<version>, one 0/1 tensor a task and layer, with the history of the rounds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from conf.errors import InputError
from conf.paths import Paths, mask_version
from conf.settings.model_file import RankerModel, TaggerModel
from conf.settings.run_file import Settings
from etl.artefact import read_manifest, write_manifest
from trainer.models.build import mask_shapes
from trainer.parts.mask import Mask, identity

FILE = "masks.pt"


def version(settings: Settings, model: RankerModel | TaggerModel) -> str:
    return mask_version(settings.masks.version, model.masks, settings.training.seed)


def folder(settings: Settings, model: RankerModel | TaggerModel) -> Path:
    return Paths(settings.lake.root).masks(model.section, version(settings, model))


def write(staging: Path, masks: Mapping[str, Mask], manifest: Mapping[str, Any]) -> None:
    tensors = {task: {n: layer.to(torch.uint8) for n, layer in mask.layers.items()} for task, mask in masks.items()}
    torch.save(tensors, staging / FILE)
    write_manifest(staging, {**manifest, "masks": identity(masks)})


def read(published: Path, hint: str) -> tuple[dict[str, Mask], dict[str, Any]]:
    manifest = read_manifest(published, hint=hint)
    tensors = torch.load(published / FILE, weights_only=True)
    masks = {task: Mask({n: layer.bool() for n, layer in layers.items()}) for task, layers in tensors.items()}
    return masks, manifest


def load_for(settings: Settings, model: RankerModel | TaggerModel) -> dict[str, Mask]:
    """The published masks, checked against the model they are to be used with; raises InputError."""
    where = folder(settings, model)
    hint = "make them first: python -m trainer.generate_masks (--model: one that the run file does not name)"
    masks, _ = read(where, hint=hint)
    check_architecture(masks, set(model.heads), mask_shapes(model, settings), where)
    return masks


def check_architecture(masks: Mapping[str, Mask], tasks: set[str], shapes: dict[str, list[int]], where: object) -> None:
    """Refuses masks that were found for other tasks or other layers."""
    hint = "choose another [masks] version, generate masks for this model, or go back to the model they were made for"
    if set(masks) != tasks:
        raise InputError(f"masks for {sorted(masks)}, but the model has tasks {sorted(tasks)}", where=where, hint=hint)
    for task, mask in masks.items():
        if mask.shapes() != shapes:
            raise InputError(
                f"mask of another architecture: task {task} has layers {mask.shapes()}, the model {shapes}",
                where=where,
                hint=hint,
            )
