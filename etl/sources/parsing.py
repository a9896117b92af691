"""Text to values: a bad row is refused as a row, a column of the wrong type is refused as a whole."""

from collections.abc import Iterable, Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from conf.errors import InputError

MALFORMED = "malformed row"
LINE = "_line"  # text of a CSV line with too few or too many fields, else null


def refuse_mistyped(rows: DataFrame, parsed: Mapping[str, Column], where: object) -> None:
    """Raises InputError when most values of a column do not parse: then the column is wrong, not its rows."""
    checks: list[Column] = []
    for name, value in parsed.items():
        bad = F.col(name).isNotNull() & value.isNull()
        checks += [F.count(name), F.count(F.when(bad, 1)), F.min(F.when(bad, F.col(name).cast("string")))]
    (found,) = rows.agg(*(check.alias(str(n)) for n, check in enumerate(checks))).collect()
    for n, name in enumerate(parsed):
        values, bad_values, example = found[3 * n : 3 * n + 3]
        if bad_values * 2 > values:
            raise InputError(
                f"column '{name}' has the wrong type: {bad_values} of {values} values do not parse, e.g. '{example}'",
                where=where,
                hint="fix the column, or name the right one in the run file",
            )


def refused_and_raw(
    rows: DataFrame, parsed: Mapping[str, Column], required: Iterable[str] = ()
) -> tuple[Column, Column]:
    """`refused` and `raw` of contract.BOOKKEEPING: a row is malformed when its line or a value does not parse.

    `parsed`: column of `rows` -> its value; `required`: columns that must not be null.
    """
    broken = F.col(LINE).isNotNull()
    for name, value in parsed.items():
        broken |= F.col(name).isNotNull() & value.isNull()
    for name in required:
        broken |= F.col(name).isNull()
    text = F.coalesce(F.col(LINE), F.to_json(F.struct(*(c for c in rows.columns if c != LINE))))
    return F.when(broken, F.lit(MALFORMED)), F.when(broken, text)
