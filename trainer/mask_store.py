"""Masks on disk: masks/<family>/<version>, one 0/1 tensor a task and layer, with the history of the rounds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from conf.models import RankerModel, TaggerModel
from conf.paths import Paths, mask_version
from conf.settings import Settings
from etl.publish import read_manifest, write_manifest
from trainer.mask import Mask, check_architecture, identity
from trainer.model import mask_shapes

FILE = "masks.pt"


def version(settings: Settings, model: RankerModel | TaggerModel) -> str:
    return mask_version(settings.masks.version, model.masks, settings.training.seed)


def folder(settings: Settings, model: RankerModel | TaggerModel) -> Path:
    return Paths(settings.lake.root).masks(model.section, version(settings, model))


def write(staging: Path, masks: Mapping[str, Mask], manifest: Mapping[str, Any]) -> None:
    tensors = {task: {n: layer.to(torch.uint8) for n, layer in mask.layers.items()} for task, mask in masks.items()}
    torch.save(tensors, staging / FILE)
    write_manifest(staging, {**manifest, "masks": identity(masks)})


def read(published: Path, remedy: str) -> tuple[dict[str, Mask], dict[str, Any]]:
    manifest = read_manifest(published, remedy=remedy)
    tensors = torch.load(published / FILE, weights_only=True)
    masks = {task: Mask({n: layer.bool() for n, layer in layers.items()}) for task, layers in tensors.items()}
    return masks, manifest


def load_for(settings: Settings, model: RankerModel | TaggerModel) -> dict[str, Mask]:
    """The published masks, checked against the model they are to be used with; raises Refusal."""
    where = folder(settings, model)
    remedy = "make them first: python -m trainer.generate_masks (--model: one that the run file does not name)"
    masks, _ = read(where, remedy=remedy)
    check_architecture(masks, set(model.heads), mask_shapes(model, settings), where)
    return masks
