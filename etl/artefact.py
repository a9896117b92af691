"""Artefacts appear whole or not at all: written aside, then published by one rename."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from conf.errors import InputError
from conf.paths import Paths

MANIFEST = "_MANIFEST.json"


def publish(paths: Paths, target: Path, write: Callable[[Path], None]) -> None:
    """Lets `write` fill a fresh folder and renames it to `target`, replacing what was there."""
    staging = fresh(paths.staging(target))
    write(staging)
    publish_staged(paths, staging, target)


def fresh(folder: Path) -> Path:
    """The folder, empty, whatever a killed job left in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def publish_staged(paths: Paths, staging: Path, target: Path) -> None:
    """Renames a finished folder to `target`. A kill between the two renames leaves `target` absent, never half."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        retired = staging.with_name(staging.name + ".old")
        shutil.rmtree(retired, ignore_errors=True)
        target.rename(retired)
        staging.rename(target)
        shutil.rmtree(retired)
    else:
        staging.rename(target)


def is_published(target: Path) -> bool:
    return (target / MANIFEST).is_file()


def write_manifest(folder: Path, content: dict[str, Any]) -> None:
    (folder / MANIFEST).write_text(json.dumps(content, indent=1, sort_keys=True, default=str) + "\n")


def read_manifest(target: Path, *, hint: str) -> dict[str, Any]:
    """The manifest of a published artefact; raises InputError with the hint when it is absent."""
    try:
        return dict(json.loads((target / MANIFEST).read_text()))
    except FileNotFoundError:
        raise InputError("not there", where=target, hint=hint) from None
    except json.JSONDecodeError:
        raise InputError(
            "its manifest is not JSON", where=target / MANIFEST, hint="remove the folder and re-run"
        ) from None


def identity(target: Path) -> str:
    """What an artefact is, in 16 hex digits: the hash of its manifest, which holds the hashes of its content."""
    return hashlib.sha256((target / MANIFEST).read_bytes()).hexdigest()[:16]


def file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
