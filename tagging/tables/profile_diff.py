"""profile_diff: which tags users gained, lost and kept since the day before."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet

from etl.artefact import describe_files, write_manifest
from etl.contract import PROFILE_DIFF


def write(folder: Path, day: date, by_tag: pd.DataFrame, by_task: Mapping[str, Any]) -> None:
    """One Parquet file and its manifest, into a staging folder. by_tag: the rows; by_task: `tasks` of the manifest."""
    table = pyarrow.Table.from_pandas(by_tag, schema=PROFILE_DIFF.schema(), preserve_index=False)
    pyarrow.parquet.write_table(table, folder / "part-00000.parquet")
    write_manifest(folder, {"day": str(day), "tasks": by_task, "files": describe_files(folder)})
