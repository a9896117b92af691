"""What became of a day's impressions: every model is judged by it, whichever label it learns."""

from collections.abc import Sequence
from datetime import date

import pandas as pd
import pyarrow.parquet

from conf.errors import InputError
from conf.paths import Paths
from etl.artefact import read_manifest

_COLUMNS = ["impression_id", "click", "conversion", "converted", "conversion_defined"]


def read_outcomes(paths: Paths, days: Sequence[date], length: str | None = None) -> pd.DataFrame:
    """day, impression_id, clicked (bool), conversion, converted, value; and `length` when a numeric feature is named.

    value: the conversion (share watched), 0 without a click. Clicked impressions with an unknown conversion are left
    out. Raises InputError when samples or the feature are missing.
    """
    frames = []
    for day in days:
        folder = paths.samples(day)
        manifest = read_manifest(folder, hint=f"build the samples: sparsetag build_samples --day {day}")
        column = [f"v_{length}"] if length else []
        for entry in manifest["files"]:
            known = pyarrow.parquet.read_schema(folder / entry["name"]).names
            if missing := [name for name in column if name not in known]:
                raise InputError(
                    f"column {missing[0]} is missing",
                    where=folder,
                    hint="name a numeric feature of [[features]] as --length, or rebuild the samples",
                )
            table = pyarrow.parquet.read_table(folder / entry["name"], columns=[*_COLUMNS, *column])
            rows = table.to_pandas().rename(columns={f"v_{length}": "length"})
            rows["day"] = str(day)
            rows["clicked"] = rows["click"] > 0
            rows["value"] = rows["conversion"].where(rows["clicked"], 0.0)
            frames.append(rows[~rows["clicked"] | (rows["conversion_defined"] > 0)])
    return pd.concat(frames, ignore_index=True).drop(columns=["click", "conversion_defined"])


def mse_of_mean(earlier: pd.DataFrame, outcomes: pd.DataFrame, label: str) -> float | None:
    """MSE of CVR when the mean of all earlier days is predicted: what a model has to beat.

    Both: as `read_outcomes` gives them; clicked rows count. label: conversion or converted.
    """
    before, now = (frame.loc[frame["clicked"], label] for frame in (earlier, outcomes))
    return float(((now - before.mean()) ** 2).mean()) if len(before) and len(now) else None
