"""Holds a DataFrame against its contract, and says everything that differs at once."""

from pyspark.sql import DataFrame


def require(frame: DataFrame, contract: dict[str, str], name: str, *, exact: bool = False) -> DataFrame:
    """`frame` itself; raises ValueError that lists every missing, mistyped and (when exact) surplus column.

    A mismatch here is a mistake in a source or a transformation, never in somebody's data.
    """
    found = dict(frame.dtypes)
    wrong = [f"{c} is missing ({t})" for c, t in contract.items() if c not in found]
    wrong += [f"{c} is {found[c]}, not {t}" for c, t in contract.items() if c in found and found[c] != t]
    if exact:
        wrong += [f"{c} is not part of it" for c in found if c not in contract]
        if not wrong and list(found) != list(contract):
            wrong.append(f"the order is {', '.join(found)}")
    if wrong:
        raise ValueError(f"table {name} breaks its contract: {'; '.join(wrong)}")
    return frame
