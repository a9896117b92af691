"""The settings of a test: conf/demo.toml on a lake of its own, with overrides."""

import json
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from conf.settings.run_file import Settings

DEMO = Path(__file__).parents[2] / "conf" / "demo.toml"
START = date(2026, 1, 1)  # its [training] start


def make_settings(root: Path, monkeypatch: pytest.MonkeyPatch | None = None, **sections: Any) -> Settings:
    """conf/demo.toml on the lake <root>/lake, small enough for a test.

    sections: keys that differ, e.g. tagging={"top_k": 3}; source and features are replaced as a whole. With
    monkeypatch, commands that the test runs with --config conf/demo.toml get the same settings, by their environment.
    """
    changes = {
        "lake": {"root": root / "lake"},
        "tracking": {"uri": f"sqlite:///{root}/mlflow.db"},
        "masks": {"train_days": 2, "rounds": 2},
        **sections,
    }
    content = tomllib.loads(DEMO.read_text())
    for section, change in changes.items():
        if section in ("source", "features"):
            content[section] = change
            continue
        content[section] = {**content.get(section, {}), **change}
        for key, value in change.items():
            if monkeypatch:
                text = json.dumps(value) if isinstance(value, (list, dict)) else str(value)
                monkeypatch.setenv(f"SPARSETAG_{section}__{key}".upper(), text)
    return Settings(**content)
