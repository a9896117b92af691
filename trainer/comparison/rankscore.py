"""What a model's order of a user's impressions is worth (LT4REC section 3.1 eq. 3 and table 3, offline)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

SHARE = 0.1  # of a user's impressions of a day; at least one


@dataclass(frozen=True)
class Rankscore:
    """pCTR^a * pCVR^b * length^c; length: a numeric feature, needed when c is not 0."""

    a: float = 1.0
    b: float = 1.0
    c: float = 0.0
    length: str | None = None

    def __str__(self) -> str:
        return f"pCTR^{self.a:g} * pCVR^{self.b:g} * length^{self.c:g}"

    def of(self, rows: pd.DataFrame) -> "pd.Series[float]":
        """Columns ctr, cvr, and length when c is not 0; a row without a length comes last."""
        score = rows["ctr"].astype(float) ** self.a * rows["cvr"].astype(float) ** self.b
        return (score * rows["length"].astype(float) ** self.c).fillna(-np.inf) if self.c else score


def value_of_top(rows: pd.DataFrame, score: Rankscore) -> float | None:
    """Mean `value` (share watched, 0 if not clicked) of the top tenth of each user's impressions of a day.

    Columns user_id, day, value, and those of the score; ties in the order of the rows. A value may be missing.
    """
    ranked = rows.assign(score=score.of(rows)).sort_values("score", ascending=False, kind="stable")
    by_user = ranked.groupby(["user_id", "day"], sort=False)
    top = by_user.cumcount() < np.ceil(SHARE * by_user["value"].transform("size") - 1e-9)
    values = ranked.loc[top, "value"].dropna()
    return float(values.mean()) if len(values) else None
