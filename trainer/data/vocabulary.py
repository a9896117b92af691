"""What the trainer needs to know of the vocabularies: how many ids, which tag an id stands for, and their identity."""

from datetime import date

import pyarrow.parquet

from conf.paths import Paths
from etl.artefact import identity, read_manifest


def sizes(paths: Paths, day: date) -> dict[str, int]:
    """feature -> ids in use at the end of the day, padding and unseen included; raises InputError."""
    manifest = read_manifest(paths.vocabulary(day), hint=f"build the samples of {day}: python -m etl.build_samples")
    return {str(name): int(size) for name, size in manifest["sizes"].items()}


def vocabulary_identity(paths: Paths, day: date) -> str:
    return identity(paths.vocabulary(day))


def values(paths: Paths, day: date, feature: str) -> dict[int, str]:
    """id -> value, for the admitted values of one feature, in order of id."""
    sizes(paths, day)
    columns = ["feature", "value", "id"]
    table = pyarrow.parquet.read_table(paths.vocabulary(day), columns=columns, filters=[("feature", "=", feature)])
    admitted = [(row["id"], row["value"]) for row in table.to_pylist() if row["id"] is not None]
    return dict(sorted(admitted))
