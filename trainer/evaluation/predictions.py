"""The table predictions/<family>/<run>/dt=D, written and read."""

from pathlib import Path

import pandas as pd
import pyarrow
import pyarrow.parquet

from etl.artefact import describe_files, write_manifest
from etl.contract import PREDICTIONS


def write_predictions(folder: Path, predictions: pd.DataFrame, manifest: dict[str, object]) -> None:
    """Writes one Parquet file and the manifest into a staging folder."""
    table = pyarrow.Table.from_pandas(predictions, schema=PREDICTIONS.schema(), preserve_index=False)
    pyarrow.parquet.write_table(table, folder / "part-00000.parquet")
    write_manifest(folder, {**manifest, "files": describe_files(folder)})


def read_predictions(folder: Path) -> pd.DataFrame:
    return pyarrow.parquet.read_table(folder / "part-00000.parquet").to_pandas()
