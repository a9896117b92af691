"""Which blocks are finished, so that a killed job goes on with the others.

The report of each finished block is one file in the progress folder, beside what the blocks are made from.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from etl.artefact import empty_folder

MADE_FROM = "made_from.txt"  # not .json, as the reports are


def resume(progress: Path, data: Sequence[Path], made_from: Mapping[str, Any]) -> int:
    """The number of blocks that a killed job has finished; empties all folders made from something else."""
    found, wanted = progress / MADE_FROM, json.dumps(made_from, sort_keys=True, default=str)
    if not found.is_file() or found.read_text() != wanted:
        for folder in (progress, *data):
            empty_folder(folder)
        found.write_text(wanted)
    for folder in data:
        folder.mkdir(parents=True, exist_ok=True)  # a kill between renames leaves tables published, thus not staged
    return len(list(progress.glob("*.json")))


def run_once(progress: Path, block: int, files: Iterable[Path], write: Callable[[], Mapping[str, Any]]) -> str:
    """The report of a block as JSON: of write(), or read back when the block is finished and its files are there."""
    report = progress / f"{block:05d}.json"
    if not (report.is_file() and all(file.is_file() for file in files)):
        aside = report.with_suffix(".aside")
        aside.write_text(json.dumps(write()))
        aside.replace(report)
    return report.read_text()
