"""What a commit is checked with is what `make lint` runs."""

import re
from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parents[1]


def test_the_hooks_of_pre_commit_are_the_commands_of_make_lint():
    recipe = (PROJECT / "Makefile").read_text().split("\nlint:")[1].split("\n\n")[0]
    (repository,) = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = [hook["entry"].removeprefix(".venv/bin/") for hook in repository["hooks"]]
    assert hooks == re.findall(r"@\$\(PY\) -m (.+)", recipe)
    assert hooks == ["ruff check", "ruff format --check", "mypy"]
