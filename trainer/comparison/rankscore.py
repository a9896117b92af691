"""What a model's order of a user's impressions is worth (LT4REC section 3.1, eq. 3 and table 3, offline)."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from trainer.evaluation.metrics import MetricName, MetricValues

TARGET = "rankscore"
TOP_SHARE = 0.1  # of a user's impressions of a day; at least one
KEYS = ["day", "impression_id"]


@dataclass(frozen=True)
class Rankscore:
    """pCTR^a * pCVR^b * length^c (LT4REC eq. 3); length: a numeric feature, needed when c is not 0."""

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


def rank_metrics(
    predictions: pd.DataFrame, base_ctr: pd.DataFrame, outcomes: pd.DataFrame, score: Rankscore
) -> tuple[MetricValues, dict[str, MetricValues]]:
    """What the order by `score` is worth: over all days together, and by day.

    predictions: contract.PREDICTIONS and `day`. base_ctr: `ctr_predictions` of the base and the same seed. outcomes:
    impression_id, day, value and, if known, length (comparison/outcomes.py).
    """
    ctr = ctr_predictions(predictions)
    cvr = predictions.loc[predictions["task"] == "cvr", [*KEYS, "prediction"]].rename(columns={"prediction": "cvr"})
    base = base_ctr[[*KEYS, "ctr"]].rename(columns={"ctr": "base_ctr"})
    rows = ctr
    for other in (cvr, outcomes.merge(base, on=KEYS, validate="one_to_one")):
        rows = rows.merge(other, on=KEYS, validate="one_to_one")
    days = sorted(predictions["day"].unique())
    return _order_values(rows, score), {str(day): _order_values(rows[rows["day"] == day], score) for day in days}


def ctr_predictions(predictions: pd.DataFrame) -> pd.DataFrame:
    """day, impression_id, user_id, ctr"""
    ctr = predictions.loc[predictions["task"] == "ctr", [*KEYS, "user_id", "prediction"]]
    return ctr.rename(columns={"prediction": "ctr"})


def value_of_top(rows: pd.DataFrame, score: Rankscore) -> float | None:
    """Mean `value` (share watched, 0 if not clicked) of the top tenth of each user's impressions of a day.

    Columns user_id, day, value, and those of the score; ties in the order of the rows. Missing values are skipped.
    """
    ranked = rows.assign(score=score.of(rows)).sort_values("score", ascending=False, kind="stable")
    by_user = ranked.groupby(["user_id", "day"], sort=False)
    top = by_user.cumcount() < np.ceil(TOP_SHARE * by_user["value"].transform("size") - 1e-9)
    values = ranked.loc[top, "value"].dropna()
    return float(values.mean()) if len(values) else None


def _order_values(rows: pd.DataFrame, score: Rankscore) -> MetricValues:
    """By the model's own CTR and CVR, and by its CVR with the base's CTR (LT4REC table 3: row 4, rows 2 and 3).

    The value is the share watched; where the length is known, also share times length (view time, if in seconds).
    """
    orders = {"value_of_top": rows, "value_of_top_with_base_ctr": rows.assign(ctr=rows["base_ctr"])}
    values = {name: value_of_top(ordered, score) for name, ordered in orders.items()}
    if "length" in rows:
        for name, ordered in orders.items():
            watched = ordered.assign(value=ordered["value"] * ordered["length"])
            values[f"{name}_in_length"] = value_of_top(watched, score)
    return {MetricName(TARGET, name): value for name, value in values.items()}
