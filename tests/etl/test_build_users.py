"""The job that builds the table of all users: whom it holds, and that it is complete or absent."""

import shutil
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from etl import build_samples, build_users
from etl.contract import users_schema
from tests.kill import killed
from tests.lakes import runs
from tests.lakes.tables import hashes

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


def test_users_are_encoded_as_in_the_samples_of_the_day(built, lake):
    found = pd.read_parquet(lake / f"users/dt={THREE}").set_index("user_id")
    assert list(found.columns) == users_schema(built.features).names[1:]
    assert set(found.index) == {f"u{n}" for n in range(60)}
    seen = runs.samples(built, THREE).drop_duplicates("user_id").set_index("user_id")
    assert found.loc[seen.index].equals(seen[["f_user_id", "f_age"]])


def test_users_of_the_table_and_users_seen_are_there_once_each(spark, tmp_path):
    noon = "2026-03-02T12:00:00Z"
    (tmp_path / "shown.csv").write_text(f"id,who,what,when\na,u1,i,{noon}\nb,u2,i,{noon}\nc,u2,i,{noon}\n")
    (tmp_path / "users.csv").write_text("who,age\nu2,20s\nu3,20s\nu3,30s\n")
    columns = {"impression_id": "id", "user_id": "who", "item_id": "what", "ts": "when"}
    source = {
        "kind": "events",
        "time": "timestamp",
        "implied_clicks": True,
        "impressions": {"path": str(tmp_path / "shown.csv"), "map": columns},
        "users": {"path": str(tmp_path / "users.csv"), "map": {"user_id": "who", "age": "age"}},
    }
    chosen = [*runs.FEATURES[:2], {"name": "tag", "table": "items", "column": "item_id"}]
    settings = runs.settings(tmp_path, source, chosen)
    build_samples.build(settings, [runs.DAY])
    build_users.build(settings, runs.DAY)
    found = pd.read_parquet(settings.lake.root / f"users/dt={runs.DAY}").set_index("user_id")
    # u2 and its age were seen twice; u1 has no attributes; u3 was never seen and has the age that sorts first
    assert found.T.to_dict("list") == {"u1": [1, 1], "u2": [2, 2], "u3": [1, 2]}


def test_killed_in_the_middle_of_the_file_and_run_again_gives_the_bytes_of_an_undisturbed_run(built, lake, tmp_path):
    shutil.copytree(built.lake.root, tmp_path / "lake")
    killed(users, tmp_path, "etl.spark.parquet:_Writer.add")
    # the file has another name until it is complete, and readers see nothing
    (begun,) = (tmp_path / f"lake/_staging/users__dt={THREE}").iterdir()
    assert begun.name.startswith("part-00000.") and begun.suffix != ".parquet"
    assert not (tmp_path / "lake/users").exists()
    users(tmp_path)
    assert hashes(tmp_path / "lake") == hashes(lake)
