"""Mean and deviation of numeric features, for the samples manifest."""

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from conf.settings.run_file import Feature
from etl.contract import value_column


def value_statistics(folder: Path, features: Iterable[Feature]) -> dict[str, dict[str, float | None]]:
    """Numeric feature -> rows that have it (`defined`), their `mean` and their population `std`; None without any.

    Sums are exact, so that row order does not matter.
    """
    found: dict[str, dict[str, float | None]] = {}
    for feature in features:
        if feature.kind == "numeric":
            column = value_column(feature)
            files = [pq.read_table(file, columns=[column])[column] for file in sorted(folder.glob("*.parquet"))]
            values = np.concatenate([file.to_numpy() for file in files]).astype(np.float64)
            values = values[~np.isnan(values)]
            mean = std = None
            if count := len(values):
                mean = math.fsum(values.tolist()) / count
                std = math.sqrt(math.fsum(((values - mean) ** 2).tolist()) / count)
            found[feature.name] = {"defined": count, "mean": mean, "std": std}
    return found
