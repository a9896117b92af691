"""Refuses features that the raw tables do not have, that hold the wrong kind of value, or that leak the label."""

from collections.abc import Collection, Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from conf.errors import InputError
from conf.settings.run_file import Feature
from etl.contract import RAW, SNAPSHOTS, STAGES, label_columns
from etl.sources.parsing import refuse_mistyped


def feedback_columns(kinds: Collection[str]) -> set[str]:
    """Columns that tell what came of an impression, whatever the source: labels, and what only later stages have."""
    later = {column for stage in STAGES for column in RAW[stage].names}
    return {*label_columns(kinds), *later} - set(RAW["impressions"].names)


def require_columns(
    features: Collection[Feature], tables: Mapping[str, DataFrame | None], feedback: Collection[str]
) -> None:
    """Raises InputError when a feature's column is absent, of the wrong kind, or feedback."""
    for feature in features:
        where, column = f"[[features]] {feature.name}", feature.source_column
        if column in feedback:
            raise InputError(
                f"column '{column}' is feedback: it would leak the label", where=where, hint="remove the feature"
            )
        table = tables.get(feature.table)
        if table is None:
            if column == SNAPSHOTS.get(feature.table):
                continue
            raise InputError(
                f"there is no table {feature.table}", where=where, hint=f"map [source.{feature.table}] in the run file"
            )
        types = dict(table.dtypes)
        if column not in types:
            known = ", ".join(c for c in types if c not in feedback)
            raise InputError(f"table {feature.table} has no column '{column}'", where=where, hint=f"it has: {known}")
        is_list = types[column].startswith("array")
        if (feature.kind == "multi") != is_list:
            hint = "set kind = 'multi' and a length" if is_list else "map a list of values, or remove kind = 'multi'"
            raise InputError(f"{feature.kind}, but column '{column}' is {types[column]}", where=where, hint=hint)


def refuse_text(features: Collection[Feature], tables: Mapping[str, DataFrame]) -> None:
    """Raises InputError when most values of a numeric feature's column are not numbers."""
    for name, table in tables.items():
        types = dict(table.dtypes)
        columns = [f.source_column for f in features if f.table == name and f.kind == "numeric"]
        if texts := [column for column in columns if types[column] == "string"]:
            refuse_mistyped(table, {c: F.col(c).try_cast("double") for c in texts}, f"numeric feature of table {name}")
