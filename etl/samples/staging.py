"""Where build_samples writes before it publishes: a folder of its own, for one job of a lake at a time."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from conf.errors import InputError
from conf.paths import Paths
from etl.artefact import empty_folder


@dataclass(frozen=True)
class Staging:
    """The folders of the tables, laid out as parquet.write_partitions fills them."""

    root: Path

    @property
    def all_samples(self) -> Path:
        return self.root / "samples"

    @property
    def all_quarantine(self) -> Path:
        return self.root / "quarantine"

    def samples(self, day: date) -> Path:
        return self.all_samples / f"dt={day}"

    def quarantine(self, table: str, day: date) -> Path:
        return self.all_quarantine / f"table={table}" / f"dt={day}"

    def vocabulary(self, day: date) -> Path:
        return self.root / "vocabulary" / f"dt={day}"


@contextmanager
def exclusive(paths: Paths) -> Iterator[Staging]:
    """An empty staging folder; raises InputError while another job holds it. The lock ends with its process."""
    folder = paths.root / "_staging" / "build_samples"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                "another build_samples is running", where=paths.root, hint="wait until it ends, then run again"
            ) from None
        try:
            yield Staging(empty_folder(folder))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
