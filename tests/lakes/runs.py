"""Lakes that etl fills from raw rows, and its published tables as pandas."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from conf.paths import Paths
from conf.settings.run_file import Settings
from tests.lakes.settings import make_settings

DAY = date(2026, 3, 2)
SIMULATED = {"kind": "simulated", "world": "video", "users": 60, "items": 30, "tags": 6, "impressions": 600, "seed": 3}
FEATURES: list[dict[str, Any]] = [
    {"name": "user_id", "table": "users"},
    {"name": "age", "table": "users"},
    {"name": "item_id", "table": "items"},
    {"name": "tag", "table": "items", "column": "tags", "kind": "multi", "length": 2},
    {"name": "duration_s", "table": "items", "kind": "numeric", "boundaries": [10, 60]},
    {"name": "hour", "table": "impressions"},
]


def settings(
    root: Path, source: dict[str, Any], features: list[dict[str, Any]] | None = None, **sections: Any
) -> Settings:
    """A run on a lake below `root` that starts on DAY; other sections as keywords."""
    chosen = {
        "training": {"start": DAY},
        **sections,
        "labels": {"kinds": [], **sections.get("labels", {})},
    }
    return make_settings(root, source=source, features=FEATURES if features is None else features, **chosen)


def simulated(root: Path, labels: dict[str, Any] | None = None, **changes: Any) -> Settings:
    """A run on a small simulated world. labels: its section of the run file, by default with both kinds of action."""
    return settings(root, {**SIMULATED, **changes}, labels={"kinds": ["like", "follow"]} if labels is None else labels)


def samples(run: Settings, day: date) -> pd.DataFrame:
    return pd.read_parquet(Paths(run.lake.root).samples(day)).set_index("impression_id")


def vocabulary(run: Settings, day: date) -> pd.DataFrame:
    return pd.read_parquet(Paths(run.lake.root).vocabulary(day))


def manifest(run: Settings, day: date) -> dict[str, Any]:
    return dict(json.loads((Paths(run.lake.root).samples(day) / "_MANIFEST.json").read_text()))


def quarantine(run: Settings, table: str, day: date) -> list[tuple[str, Any]]:
    """(reason, row) of each refused row; row parsed when it is JSON."""
    frame = pd.read_parquet(Paths(run.lake.root).quarantine(table, day))
    return sorted(((r, json.loads(row) if row.startswith("{") else row) for r, row in frame.values), key=str)
