"""The table predictions/<family>/<run>/dt=D, written and read."""

from pathlib import Path

import pandas as pd
import pyarrow
import pyarrow.parquet

from etl.artefact import file_hash, write_manifest
from etl.contract import PREDICTIONS


def write_predictions(folder: Path, predictions: pd.DataFrame, manifest: dict[str, object]) -> None:
    """Writes one Parquet file and the manifest into a staging folder."""
    types = {"string": pyarrow.string(), "float": pyarrow.float32()}
    schema = pyarrow.schema([(name, types[kind]) for name, kind in PREDICTIONS.items()])
    path = folder / "part-00000.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pandas(predictions, schema=schema, preserve_index=False), path)
    files = [{"name": path.name, "rows": len(predictions), "sha256": file_hash(path)}]
    write_manifest(folder, {**manifest, "files": files})


def read_predictions(folder: Path) -> pd.DataFrame:
    return pyarrow.parquet.read_table(folder / "part-00000.parquet").to_pandas()
