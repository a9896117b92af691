"""The tables beside user_tags: a profile for each user, an audience for each tag."""

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import mlflow
import pandas as pd
import pyarrow.parquet
import pytest
import torch
from pyspark.sql import SparkSession

from conf.errors import InputError
from conf.load import load_settings
from conf.paths import Paths
from conf.settings.run_file import Settings
from etl.artefact import file_hash, read_manifest
from etl.spark import parquet
from tagging.scoring.calibration import Calibration
from tagging.scoring.score import TopTags
from tagging.tables import audience, blocks, pairs
from tagging.tables.profiles import write
from tagging.tag_users import tag_users
from tests.kill import killed
from tests.lakes.settings import DEMO
from tests.lakes.tables import hashes, read_table
from tests.lakes.tagger import TAGS, literal, trained
from tests.lakes.tagging import DAY, TASKS, USERS, make_lake, tagging_settings, user_ids

# high enough for some users to have no tag at all
CHANGES: dict[str, Any] = {"min_score": 0.49, "audience": {"interest": 0.4, "intention": 0.55}}
NAMES = [f"tag {n}" for n in TAGS]


def tag(root: Path, **options: Any) -> None:
    """Runs the job on the lake at `root`, its users in five blocks, audiences in small files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_USERS", 16)
        patch.setattr(parquet, "ROWS_A_FILE", 100)
        tag_users(tagging_settings(root, **CHANGES), DAY, **{"force": False, **options})


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake after the job."""
    root = tmp_path_factory.mktemp("products")
    settings = make_lake(root, **CHANGES)
    tag(root)
    return settings


def test_every_user_has_a_profile_with_the_tags_of_both_tasks(lake: Settings) -> None:
    paths = Paths(lake.lake.root)
    found = read_table(paths.profiles(DAY)).set_index("user_id").sort_index()
    assert found.index.tolist() == [f"u{n:02d}" for n in range(USERS)]
    assert found["known_features"].tolist() == (user_ids() > 1).sum(1).tolist()
    assert found["known_features"]["u07"] == 0
    for task in TASKS:
        rows = read_table(paths.user_tags(DAY, task)).sort_values("rank")
        wanted = {user: list(zip(own["tag"], own["score"], strict=True)) for user, own in rows.groupby("user_id")}
        assert 0 < len(wanted) < USERS or task == "intention"  # users without a tag of interest are kept
        got = {user: [(tag["tag"], tag["score"]) for tag in tags] for user, tags in found[task].items()}
        assert got == {user: wanted.get(user, []) for user in found.index}


def test_profiles_have_a_list_of_tag_and_score_for_each_task(lake: Settings) -> None:
    folder = Paths(lake.lake.root).profiles(DAY)
    for file in folder.glob("*.parquet"):
        schema = pyarrow.parquet.read_schema(file)
        assert schema.names == ["user_id", "known_features", "interest", "intention"]
        assert [str(schema.field(task).type) for task in TASKS] == [
            "list<element: struct<tag: string, score: float>>"
        ] * 2
    manifest = read_manifest(folder, hint="")
    assert (manifest["rows"], manifest["users_without_features"]) == (USERS, 1)
    for entry in manifest["files"]:
        assert file_hash(folder / entry["name"]) == entry["sha256"]


def test_users_without_tags_have_an_empty_list(tmp_path: Path) -> None:
    top = TopTags(*map(torch.tensor, ([1, 1, 2], [0, 2, 1], [1, 2, 1], [0.5, 0.25, 0.75])))
    names, tags = pyarrow.array(["a", "b", "c", "d"]), pyarrow.array(["x", "y", "z"])
    ids = torch.tensor([[1, 0, 0], [2, 0, 0], [1, 1, 5], [1, 0, 1]])  # a feature of one column, and one of two
    report = write(tmp_path / "part.parquet", names, [ids[:, :1], ids[:, 1:]], tags, {"interest": top})
    found = pyarrow.parquet.read_table(tmp_path / "part.parquet").to_pylist()
    assert [[(tag["tag"], tag["score"]) for tag in row["interest"]] for row in found] == [
        [], [("x", 0.5), ("z", 0.25)], [("y", 0.75)], [],
    ]  # fmt: skip
    assert [row["known_features"] for row in found] == [0, 1, 1, 0]
    assert (report["rows"], report["users_without_features"]) == (4, 2)


@pytest.mark.parametrize("task", TASKS)
def test_an_audience_is_everybody_who_scores_enough(lake: Settings, task: str) -> None:
    """Of all pairs, not of the best three of each user."""
    folder = Paths(lake.lake.root).audience(DAY, task)
    manifest = read_manifest(folder, hint="")
    terms = manifest["calibration"]
    calibration = Calibration(terms["intercept"], terms["slope"], terms["cubic"])
    scores = calibration(torch.logit(literal(trained(), user_ids(), task)))
    least = CHANGES["audience"][task]
    assert manifest["from_score"] == least
    assert (scores - least).abs().min() > 1e-6  # no pair depends on rounding
    wanted = {
        (f"u{user:02d}", NAMES[tag]): scores[user, tag].item() for user, tag in (scores >= least).nonzero().tolist()
    }
    rows = read_table(folder)
    assert 3 * USERS < len(rows) < 20 * USERS or task == "interest"
    got = dict(zip(zip(rows["user_id"], rows["tag"], strict=True), rows["score"], strict=True))
    assert got == pytest.approx(wanted, abs=1e-5)
    counts = rows["tag"].value_counts()
    assert {tag: found["users"] for tag, found in manifest["audiences"].items()} == {
        tag: counts.get(tag, 0) for tag in NAMES
    }
    assert manifest["reached"] == rows["user_id"].nunique()


def test_audiences_and_user_tags_have_the_same_scores(lake: Settings) -> None:
    paths = Paths(lake.lake.root)
    for task in TASKS:
        both = read_table(paths.user_tags(DAY, task)).merge(
            read_table(paths.audience(DAY, task)), on=["user_id", "tag"]
        )
        assert len(both) > 50
        assert (both["score_x"] == both["score_y"]).all()


def test_pairs_of_several_batches_go_to_one_file(tmp_path: Path) -> None:
    writer = pairs.PairWriter(tmp_path / "part.parquet", pyarrow.array(["a", "b", "c"]), pyarrow.array(["x", "y"]))
    writer.add(torch.tensor([0, 0]), torch.tensor([0, 1]), torch.tensor([0.5, 0.75]))
    writer.add(torch.tensor([2]), torch.tensor([1]), torch.tensor([0.25]))
    assert writer.close() == {"reached": 2, "tag_users": [1, 2]}
    rows = pyarrow.parquet.read_table(tmp_path / "part.parquet").to_pylist()
    assert [tuple(row.values()) for row in rows] == [("x", "a", 0.5), ("y", "a", 0.75), ("y", "c", 0.25)]


def test_audiences_are_sorted_and_each_lies_in_one_file(lake: Settings) -> None:
    folder = Paths(lake.lake.root).audience(DAY, "intention")
    manifest = read_manifest(folder, hint="")
    assert len(manifest["files"]) > 1
    for entry in manifest["files"]:
        rows = pyarrow.parquet.read_table(folder / entry["name"], partitioning=None).to_pandas()
        assert list(rows.columns) == ["tag", "user_id", "score"]
        wanted = rows.sort_values(["tag", "score", "user_id"], ascending=[True, False, True], ignore_index=True)
        pd.testing.assert_frame_equal(rows, wanted)
        assert {manifest["audiences"][tag]["file"] for tag in rows["tag"]} == {entry["name"]}


def test_files_are_filled_in_the_order_of_the_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    """100 rows a file: a and b begin within the first hundred, d behind it; nobody has c."""
    monkeypatch.setattr(parquet, "ROWS_A_FILE", 100)
    assert audience.assign_files({"b": 60, "a": 50, "d": 10, "c": 0}) == {"a": 0, "b": 0, "d": 1}


@pytest.mark.parametrize("partitions", [1, 4])
def test_same_bytes_for_any_partitioning(lake: Settings, spark: SparkSession, partitions: int) -> None:
    before = hashes(lake.lake.root)
    spark.conf.set("spark.sql.shuffle.partitions", str(partitions))
    tag(lake.lake.root.parent, force=True)
    spark.conf.set("spark.sql.shuffle.partitions", "2")
    assert hashes(lake.lake.root) == before


def test_audience_sizes_are_shown_in_mlflow(lake: Settings) -> None:
    client = mlflow.tracking.MlflowClient(lake.tracking.uri)
    experiment = client.get_experiment_by_name("sparsetag-tagging")
    (run,) = client.search_runs([experiment.experiment_id], "tags.day = '2026-01-03'")
    assert "audience_sizes.png" in [file.path for file in client.list_artifacts(run.info.run_id)]
    manifest = read_manifest(Paths(lake.lake.root).audience(DAY, "intention"), hint="")
    assert run.data.metrics["intention_audience_rows"] == manifest["rows"]
    assert run.data.metrics["intention_audience_users"] == manifest["reached"]


def test_a_job_killed_while_pairs_are_sorted_gives_the_same_bytes(
    lake: Settings, tmp_path: Path, spark: SparkSession
) -> None:
    """All blocks are finished by then, and none is scored again."""
    settings = make_lake(tmp_path, **CHANGES)
    staging = settings.lake.root / "_staging"
    killed(tag, tmp_path, "tagging.tables.audience:sort_by_tag", 1)
    assert [name for name in ("user_tags", "profiles", "audience") if (settings.lake.root / name).exists()] == []
    written = {path: path.stat().st_mtime_ns for path in staging.rglob("*.pairs/*.parquet")}
    assert len(written) == 2 * 5
    killed(tag, tmp_path, "tagging.tables.audience:sort_by_tag", 3)
    assert {path: path.stat().st_mtime_ns for path in written} == written
    tag(tmp_path)
    assert hashes(settings.lake.root) == hashes(lake.lake.root)


def test_a_job_with_another_threshold_does_not_resume(
    lake: Settings, tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = {**CHANGES, "audience": {"interest": 0.3, "intention": 0.3}}
    settings = make_lake(tmp_path, **other)
    with monkeypatch.context() as patch, pytest.raises(OSError, match="disk"):
        patch.setattr(blocks, "BLOCK_USERS", 16)
        patch.setattr(audience, "sort_by_tag", Mock(side_effect=OSError("disk")))
        tag_users(settings, DAY, force=False)
    tag(tmp_path)
    assert hashes(settings.lake.root) == hashes(lake.lake.root)


def test_an_audience_of_an_unknown_task_is_refused(tmp_path: Path) -> None:
    settings = make_lake(tmp_path, audience={"purchase": 0.3})
    with pytest.raises(InputError, match="no task 'purchase'; choose from: interest, intention"):
        tag_users(settings, DAY, force=False)


def test_a_threshold_that_is_no_probability_is_refused_when_the_file_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARSETAG_TAGGING__AUDIENCE", '{"interest": 30}')
    with pytest.raises(InputError, match="audience of 'interest' must be a probability between 0 and 1"):
        load_settings(DEMO)
