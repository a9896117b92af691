"""The job that makes the table of all users: whom it holds, and that it is there whole or not at all."""

import shutil
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from etl import build_users
from etl.contract import users_schema
from tests.etl import runs
from tests.kill import killed

THREE = runs.DAY + timedelta(days=2)


def users(root: Path) -> None:
    build_users.build(runs.simulated(root), THREE)


@pytest.fixture(scope="module")
def lake(built, tmp_path_factory):
    """The run's lake with the users of its third day."""
    root = tmp_path_factory.mktemp("users")
    shutil.copytree(built.lake.root, root / "lake")
    users(root)
    return root / "lake"


def test_users_are_all_of_the_table_and_all_seen(built, lake):
    found = pd.read_parquet(lake / f"users/dt={THREE}").set_index("user_id")
    assert list(found.columns) == list(users_schema(built.features))[1:]
    assert set(found.index) == {f"u{n}" for n in range(60)}
    seen = runs.samples(built, THREE).drop_duplicates("user_id").set_index("user_id")
    assert found.loc[seen.index].equals(seen[["f_user_id", "f_age"]])


def test_killed_in_the_middle_of_the_file_and_run_again_gives_the_bytes_of_an_undisturbed_run(built, lake, tmp_path):
    shutil.copytree(built.lake.root, tmp_path / "lake")
    killed(users, tmp_path, "etl.parquet:_Writer.add")
    # begun under another name, and nothing to be seen where readers look
    (begun,) = (tmp_path / f"lake/_staging/users__dt={THREE}").iterdir()
    assert begun.name.startswith("part-00000.") and begun.suffix != ".parquet"
    assert not (tmp_path / "lake/users").exists()
    users(tmp_path)
    assert runs.contents(tmp_path / "lake") == runs.contents(lake)
