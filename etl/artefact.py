"""An artefact is a published folder with a manifest: complete or absent, and it knows what it was made from.

A job writes into a staging folder, and one rename publishes it. DAGs import this module too, so it needs neither Spark
nor torch nor, until files are listed, pyarrow.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from conf.errors import InputError
from conf.paths import Paths

MANIFEST = "_MANIFEST.json"
FORMAT = 2  # of every manifest; sparsetag 0.1 wrote none

_REBUILD = (
    "choose another [lake] root, or remove the old lake folder; then rebuild it: "
    "python -m etl.build_samples --config <run file> --from <[training] start> --to <last day>, "
    "python -m trainer.generate_masks --config <run file>, and for each family "
    "python -m trainer.train_day --config <run file> --family <ranker or tagger> --day <last day>"
)


def publish(paths: Paths, target: Path, write: Callable[[Path], None]) -> None:
    """Lets `write` fill an empty staging folder and renames it to `target`, replacing what was there."""
    staging = empty_folder(paths.staging(target))
    write(staging)
    publish_staged(paths, staging, target)


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


def empty_folder(folder: Path) -> Path:
    """Creates the folder, or empties it of what a killed job left behind."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def is_published(target: Path) -> bool:
    """Raises InputError for an artefact of another format."""
    return _manifest(target) is not None


def up_to_date(target: Path, made_from: Mapping[str, Any]) -> bool:
    """Published, and its manifest agrees with every entry of `made_from`; raises InputError as `is_published`."""
    manifest = _manifest(target)
    return manifest is not None and json.loads(_json(made_from)).items() <= manifest.items()


def read_manifest(target: Path, *, hint: str) -> dict[str, Any]:
    """The manifest of an artefact. Raises InputError: with the hint when it is absent, or when it cannot be used."""
    manifest = _manifest(target)
    if manifest is None:
        raise InputError("not there", where=target, hint=hint)
    return manifest


def _manifest(target: Path) -> dict[str, Any] | None:
    """None when nothing is published there."""
    path = target / MANIFEST
    if not path.is_file():
        return None
    try:
        manifest = dict(json.loads(path.read_text()))
    except ValueError:
        raise InputError("the manifest is not JSON", where=path, hint="remove the folder and run again") from None
    written_as = manifest.get("format")
    if written_as != FORMAT:
        by = "sparsetag 0.1" if written_as is None else f"another version of sparsetag (format {written_as})"
        raise InputError(f"this lake was written by {by}", where=target, hint=_REBUILD)
    return manifest


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    (folder / MANIFEST).write_text(_json({**content, "format": FORMAT}) + "\n")


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, sort_keys=True, default=str)


def identity(target: Path) -> str:
    """The hash of an artefact's manifest in 16 hex digits. The manifest holds the hashes of the content."""
    return hashlib.sha256((target / MANIFEST).read_bytes()).hexdigest()[:16]


def file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe_files(folder: Path) -> list[dict[str, Any]]:
    """Name, rows and hash of each Parquet file of a folder, for its manifest."""
    from pyarrow.parquet import read_metadata  # here, so that DAGs do not load it

    return [
        {"name": file.name, "rows": read_metadata(file).num_rows, "sha256": file_hash(file)}
        for file in sorted(folder.glob("*.parquet"))
    ]
