"""Masks on disk: masks/<family>/<version>, one 0/1 tensor a task and layer, with the history of the rounds."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from conf.models import RankerModel
from conf.paths import Paths, run_name
from conf.settings import Settings
from etl.publish import read_manifest, write_manifest
from trainer.mask import Mask, check_architecture, identity
from trainer.ranker import TASKS, snet_shapes

FILE = "masks.pt"


def version(settings: Settings) -> str:
    return run_name(settings.masks.version, settings.training.seed)


def folder(settings: Settings) -> Path:
    return Paths(settings.lake.root).masks("ranker", version(settings))


def write(staging: Path, masks: Mapping[str, Mask], manifest: Mapping[str, Any]) -> None:
    tensors = {task: {n: layer.to(torch.uint8) for n, layer in mask.layers.items()} for task, mask in masks.items()}
    torch.save(tensors, staging / FILE)
    write_manifest(staging, {**manifest, "masks": identity(masks)})


def read(published: Path, remedy: str) -> tuple[dict[str, Mask], dict[str, Any]]:
    manifest = read_manifest(published, remedy=remedy)
    tensors = torch.load(published / FILE, weights_only=True)
    masks = {task: Mask({n: layer.bool() for n, layer in layers.items()}) for task, layers in tensors.items()}
    return masks, manifest


def load_for(settings: Settings, model: RankerModel) -> dict[str, Mask]:
    """The published masks, checked against the model they are to be used with; raises Refusal."""
    masks, _ = read(folder(settings), remedy="make them first: python -m trainer.generate_masks")
    check_architecture(masks, set(TASKS), snet_shapes(model, settings), folder(settings))
    return masks
