"""Predictions of a few models on two days: the input of the frozen comparisons in tests/golden/comparison."""

import numpy as np
import pandas as pd

DAYS = ("2026-01-02", "2026-01-03")
ROWS = 120  # impressions a day
# what clicks, conversions and further kinds of action depend on in this example, by task
DEFINED_BY_CLICK = {"ctr": False, "cvr": True, "ctcvr": False, "like": True, "interest": False, "intention": True}


def impressions() -> pd.DataFrame:
    """One row an impression: keys, `click`, `share` watched, and `length` in seconds, missing in some."""
    random = np.random.default_rng(0)
    frames = []
    for day in DAYS:
        users = np.minimum(random.geometric(0.2, ROWS), 12)
        click = random.random(ROWS) < 0.4
        frames.append(
            pd.DataFrame({
                "day": day,
                "impression_id": [f"{day}-{n:03d}" for n in range(ROWS)],
                "user_id": [f"u{user}" for user in users],
                "item_id": [f"i{n % 7}" for n in range(ROWS)],
                "domain": np.where(np.arange(ROWS) % 3, "feed", "search"),
                "click": click.astype(float),
                "share": np.where(click, np.round(random.random(ROWS), 2), 0.0),
                "length": np.where(np.arange(ROWS) % 10, 10.0 + np.arange(ROWS) % 17, np.nan),
            })
        )  # fmt: skip
    return pd.concat(frames, ignore_index=True)


def predictions(tasks: tuple[str, ...], model: int, seed: int, quality: float) -> pd.DataFrame:
    """contract.PREDICTIONS and `day`: noise and, by `quality` in [0, 1], the label."""
    rows, random = impressions(), np.random.default_rng([model, seed])
    keys = rows[["day", "impression_id", "user_id", "item_id", "domain"]]
    frames = []
    for task in tasks:
        label = rows["click"] if task in ("ctr", "interest") else rows["share"]
        noise = random.random(len(rows))
        prediction = 0.05 + 0.9 * (quality * label + (1 - quality) * noise)
        defined = rows["click"] if DEFINED_BY_CLICK[task] else 1.0
        frames.append(
            keys.assign(
                task=task,
                label=label.astype("float32"),
                positive=(label > 0.5).astype("float32"),
                defined=defined,
                prediction=prediction.astype("float32"),
            )
        )
    return pd.concat(frames, ignore_index=True)


def outcomes() -> pd.DataFrame:
    """day, impression_id, clicked, conversion, converted, value, length: as comparison/outcomes.py reads them."""
    rows = impressions()
    clicked = rows["click"] > 0
    return rows[["day", "impression_id", "length"]].assign(
        clicked=clicked, conversion=rows["share"], converted=(rows["share"] > 0.5).astype(float), value=rows["share"]
    )
