"""The tutorial is run, block by block, as a reader would; so is the page that reads its tables."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.docs.pages import DOCS, Block, blocks


def run(block: Block, folder: Path) -> str:
    """What a block prints: a file is written, commands and Python are run in the folder."""
    if block.title:
        (folder / block.title).write_text(block.text)
        return ""
    # as when the environment is active: `python` is its own, and finds this checkout
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(PROJECT)}
    command = ["bash", "-euo", "pipefail", "-c"] if block.language == "sh" else [sys.executable, "-c"]
    ran = subprocess.run([*command, block.text], cwd=folder, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, f"{block.text}\n{ran.stderr[-3000:]}"
    return ran.stdout


def shape(text: str) -> str:
    """Without numbers, which may differ in the last digits from one processor to another, and without spacing."""
    return re.sub(r"[\s|+-]*\d[\d.]*", " N", re.sub(r"[ \t]+", " ", text)).strip()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tutorial")


def test_the_tutorial_runs_and_prints_what_it_says(folder):
    printed = ""
    for block in blocks(DOCS / "tutorial.md"):
        if block.language == "text":
            assert shape(printed) == shape(block.text)
        else:
            printed = run(block, folder)
    table = run(next(block for block in blocks(DOCS / "tutorial.md") if "crosstab" in block.text), folder)
    rows = {line.split()[0]: [*map(int, line.split()[1:])] for line in table.splitlines()[2:]}
    # of the columns books, garden, kitchen, music, sports, toys: what the log's script lets an age like
    likes = {"18-29": (3, 4), "30-49": (2, 5), "50+": (0, 1)}
    assert all(sum(rows[age][n] for n in liked) > 0.9 * sum(rows[age]) for age, liked in likes.items())


def test_the_tables_can_be_read_as_the_page_says(folder):
    printed = [run(block, folder) for block in blocks(DOCS / "how-to" / "read-the-tables.md")]
    pandas_profile, pandas_audience, by_duckdb, tenths, by_spark = printed
    assert pandas_profile.splitlines()[0] == "2"  # user_id and age
    assert len(pandas_profile.splitlines()) == 4  # and the three tags kept
    assert {"books", "garden"} <= {line.split()[0] for line in pandas_audience.splitlines()}
    assert by_duckdb.count("intention") > 1 and "2026-03-04" in by_duckdb
    assert [line.split()[1] for line in tenths.splitlines()[1:]] == [*map(str, range(1, 11))]
    assert "interest" in by_spark and "score" in by_spark
