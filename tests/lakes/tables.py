"""Tables as tests write and read them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet

from conf.paths import Paths
from conf.settings.run_file import Settings
from etl.artefact import describe_files, file_hash, publish, write_manifest


def publish_table(
    settings: Settings,
    target: Path,
    schema: pyarrow.Schema,
    files: Sequence[pd.DataFrame],
    manifest: Mapping[str, Any],
    row_group: int | None = None,
) -> None:
    """One Parquet file for each frame, with the columns and types of the schema, and the manifest."""

    def write(folder: Path) -> None:
        for number, frame in enumerate(files):
            path = folder / f"part-{number:05d}.parquet"
            table = pyarrow.Table.from_pandas(frame, schema=schema, preserve_index=False)
            pyarrow.parquet.write_table(table, path, row_group_size=row_group)
        write_manifest(folder, {"rows": sum(map(len, files)), **manifest, "files": describe_files(folder)})

    publish(Paths(settings.lake.root), target, write)


def read_table(folder: Path) -> pd.DataFrame:
    return pyarrow.parquet.read_table(folder, partitioning=None).to_pandas()


def hashes(folder: Path) -> dict[str, str]:
    """Of every file below a folder, but for locks."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".lock"]
    return {str(path.relative_to(folder)): file_hash(path) for path in files}
