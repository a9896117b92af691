"""Checks a DataFrame against its contract."""

import pyarrow as pa
from pyspark.sql import DataFrame

from etl.contract import spark_types


def require(frame: DataFrame, contract: pa.Schema, name: str) -> DataFrame:
    """`frame` itself; raises ValueError that lists every missing and mistyped column.

    A mismatch is a bug in a source or a transformation, never a fault of somebody's data.
    """
    found = dict(frame.dtypes)
    wrong = [
        f"{column} is {found[column]}, not {kind}" if column in found else f"{column} is missing ({kind})"
        for column, kind in spark_types(contract).items()
        if found.get(column) != kind
    ]
    if wrong:
        raise ValueError(f"table {name} breaks its contract: {'; '.join(wrong)}")
    return frame
