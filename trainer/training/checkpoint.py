"""A day's model on disk: weights, optimiser state, and everything that it depends on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from conf.errors import InputError
from etl.artefact import file_hash, read_manifest, write_manifest
from trainer.parts.embedding import Embedding, copy_known_rows
from trainer.training.optimiser import TABLES, State

WEIGHTS, OPTIMISER = "weights.pt", "optimiser.pt"


@dataclass(frozen=True)
class Checkpoint:
    """weights: state_dict; optimiser: see training/optimiser.py; manifest: day, sizes, settings, masks, metrics, ..."""

    weights: dict[str, Tensor]
    optimiser: State
    manifest: dict[str, Any]

    @property
    def sizes(self) -> dict[str, int]:
        """feature -> number of ids when the model was trained, in the order in which its tables hold the features"""
        sizes = self.manifest["sizes"]
        return {name: sizes[name] for name in self.manifest["feature_order"]}


def save(folder: Path, model: nn.Module, optimiser_state: State, manifest: Mapping[str, Any]) -> None:
    """Writes a checkpoint into a staging folder; the caller publishes it."""
    torch.save({name: value.cpu() for name, value in model.state_dict().items()}, folder / WEIGHTS)
    torch.save(optimiser_state, folder / OPTIMISER)
    seal(folder, manifest)


def seal(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Writes the manifest of a model with the hash of every file in its staging folder."""
    files = {path.name: file_hash(path) for path in sorted(folder.iterdir())}
    write_manifest(folder, {**manifest, "files": files})


def load(folder: Path, *, expected: Mapping[str, Any], hint: str) -> Checkpoint:
    """A published checkpoint; raises InputError as `check` does."""
    manifest = check(folder, expected=expected, hint=hint)
    return Checkpoint(
        weights=torch.load(folder / WEIGHTS, weights_only=True, map_location="cpu"),
        optimiser=torch.load(folder / OPTIMISER, weights_only=True, map_location="cpu"),
        manifest=manifest,
    )


def check(folder: Path, *, expected: Mapping[str, Any], hint: str) -> dict[str, Any]:
    """The manifest of a published model; raises InputError when it is missing, damaged, or differs from `expected`."""
    manifest = read_manifest(folder, hint=hint)
    for key, value in expected.items():
        if manifest.get(key) != value:
            raise InputError(
                f"the checkpoint has another {key}: {_difference(manifest.get(key), value)}",
                where=folder,
                hint="go back to what it was trained with, or use another [lake] root",
            )
    for name, digest in manifest["files"].items():
        if not (folder / name).is_file() or file_hash(folder / name) != digest:
            raise InputError(f"{name} is damaged", where=folder, hint="train the day again: train_day --force")
    return manifest


def _difference(found: Any, wanted: Any) -> str:
    if isinstance(found, dict) and isinstance(wanted, dict):
        keys = sorted(k for k in {*found, *wanted} if found.get(k) != wanted.get(k))
        return ", ".join(f"{k} is {found.get(k)!r}, not {wanted.get(k)!r}" for k in keys[:3])
    return f"{found!r}, not {wanted!r}"


def warm_start(model: nn.Module, checkpoint: Checkpoint) -> State:
    """Copies yesterday's weights into a new model, and returns its optimiser state with rows for all of today's ids.

    New ids keep their initial weights and start with a zero optimiser state.
    """
    segments = {f"{name}.table": part.segments for name, part in model.named_modules() if isinstance(part, Embedding)}
    fresh = model.state_dict()
    state = {key: dict(of_adam) for key, of_adam in checkpoint.optimiser.items()}
    tables = state.get(TABLES, {})
    with torch.no_grad():
        for name, old in checkpoint.weights.items():
            if name not in segments:
                fresh[name].copy_(old)
                continue
            sizes = {feature: size for feature, size in checkpoint.sizes.items() if feature in segments[name]}
            copy_known_rows(fresh[name], segments[name], old, sizes)
            grown = {}
            for key, value in tables.get(name, {}).items():
                grown[key] = value
                if value.shape == old.shape:
                    grown[key] = torch.zeros_like(fresh[name], device="cpu")
                    copy_known_rows(grown[key], segments[name], value, sizes)
            if grown:
                tables[name] = grown
    return state
