"""What is made of the tags: a profile a user, an audience a tag."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pyarrow.parquet
import pytest
import torch
from pyspark.sql import SparkSession

from conf.load import load_settings
from conf.paths import Paths
from conf.refusal import Refusal
from conf.settings import Settings, Spark
from etl import parquet
from etl.publish import MANIFEST, read_manifest
from tagging import audience, blocks
from tagging.build_audiences import build_audiences
from tagging.build_profiles import build_profiles
from tagging.calibration import Calibration
from tagging.tag_users import tag_users
from tests.kill import killed
from tests.tagging.lake import (
    DAY,
    TASKS,
    USERS,
    hashes,
    make_lake,
    make_model,
    settings_in,
    table,
    user_ids,
)
from tests.tagging.trained import DEMO, TAGS, literal, trained

# high enough for some users to have no tag at all
CHANGES: dict[str, Any] = {"min_score": 0.49, "audience": {"interest": 0.4, "intention": 0.55}}
NAMES = [f"tag {n}" for n in TAGS]


def in_small_blocks(job: Callable[..., None], settings: Settings, **options: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_USERS", 16)
        patch.setattr(parquet, "ROWS_A_FILE", 100)
        job(settings, DAY, **{"force": False, **options})


def profiles(root: Path) -> None:
    in_small_blocks(build_profiles, settings_in(root, **CHANGES))


def audiences(root: Path) -> None:
    in_small_blocks(build_audiences, settings_in(root, **CHANGES))


def tagged_lake(root: Path) -> Settings:
    settings = make_lake(root, **CHANGES)
    in_small_blocks(tag_users, settings)
    return settings


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake after the three jobs."""
    root = tmp_path_factory.mktemp("products")
    settings = tagged_lake(root)
    profiles(root)
    audiences(root)
    return settings


def test_a_profile_for_every_user_with_the_tags_of_both_tasks(lake: Settings) -> None:
    paths = Paths(lake.lake.root)
    found = table(paths.profiles(DAY)).set_index("user_id").sort_index()
    assert found.index.tolist() == [f"u{n:02d}" for n in range(USERS)]
    assert found["known_features"].tolist() == (user_ids() > 1).sum(1).tolist()
    assert found["known_features"]["u07"] == 0
    for task in TASKS:
        rows = table(paths.user_tags(DAY, task)).sort_values("rank")
        wanted = {user: list(zip(own["tag"], own["score"], strict=True)) for user, own in rows.groupby("user_id")}
        assert 0 < len(wanted) < USERS or task == "intention"  # without a tag of interest: listed, not dropped
        got = {user: [(tag["tag"], tag["score"]) for tag in tags] for user, tags in found[task].items()}
        assert got == {user: wanted.get(user, []) for user in found.index}


def test_profiles_have_one_list_of_tag_and_score_a_task(lake: Settings) -> None:
    folder = Paths(lake.lake.root).profiles(DAY)
    for file in folder.glob("*.parquet"):
        schema = pyarrow.parquet.read_schema(file)
        assert schema.names == ["user_id", "known_features", "interest", "intention"]
        assert [str(schema.field(task).type) for task in TASKS] == [
            "list<element: struct<tag: string, score: float>>"
        ] * 2
    manifest = read_manifest(folder, remedy="")
    assert (manifest["rows"], manifest["users_without_features"]) == (USERS, 1)


@pytest.mark.parametrize("task", TASKS)
def test_an_audience_is_everybody_who_scores_enough(lake: Settings, task: str) -> None:
    """Of all pairs, not of the best three of each user."""
    folder = Paths(lake.lake.root).audience(DAY, task)
    manifest = read_manifest(folder, remedy="")
    terms = manifest["calibration"]
    calibration = Calibration(terms["intercept"], terms["slope"], terms["cubic"])
    scores = calibration(torch.logit(literal(trained(), user_ids(), task)))
    least = CHANGES["audience"][task]
    assert manifest["from_score"] == least
    assert (scores - least).abs().min() > 1e-6  # no pair is a matter of rounding
    wanted = {
        (f"u{user:02d}", NAMES[tag]): scores[user, tag].item() for user, tag in (scores >= least).nonzero().tolist()
    }
    rows = table(folder)
    assert 3 * USERS < len(rows) < 20 * USERS or task == "interest"
    got = dict(zip(zip(rows["user_id"], rows["tag"], strict=True), rows["score"], strict=True))
    assert got == pytest.approx(wanted, abs=1e-5)
    counts = rows["tag"].value_counts()
    assert {tag: found["users"] for tag, found in manifest["audiences"].items()} == {
        tag: counts.get(tag, 0) for tag in NAMES
    }
    assert manifest["reached"] == rows["user_id"].nunique()


def test_an_audience_says_of_a_user_what_user_tags_says(lake: Settings) -> None:
    paths = Paths(lake.lake.root)
    for task in TASKS:
        both = table(paths.user_tags(DAY, task)).merge(table(paths.audience(DAY, task)), on=["user_id", "tag"])
        assert len(both) > 50
        assert (both["score_x"] == both["score_y"]).all()


def test_audiences_are_sorted_and_each_lies_in_one_file(lake: Settings) -> None:
    folder = Paths(lake.lake.root).audience(DAY, "intention")
    manifest = read_manifest(folder, remedy="")
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
    assert audience.files_of({"b": 60, "a": 50, "d": 10, "c": 0}) == {"a": 0, "b": 0, "d": 1}


@pytest.mark.parametrize("partitions", [1, 4])
def test_same_bytes_for_any_partitioning(lake: Settings, spark: SparkSession, partitions: int) -> None:
    before = hashes(lake.lake.root)
    settings = lake.model_copy(update={"spark": Spark(master="local[2]", shuffle_partitions=partitions)})
    spark.conf.set("spark.sql.shuffle.partitions", str(partitions))
    in_small_blocks(build_profiles, settings, force=True)
    in_small_blocks(build_audiences, settings, force=True)
    spark.conf.set("spark.sql.shuffle.partitions", "2")
    assert hashes(lake.lake.root) == before


def test_audience_sizes_are_shown_in_mlflow(lake: Settings) -> None:
    client = mlflow.tracking.MlflowClient(lake.tracking.uri)
    experiment = client.get_experiment_by_name("sparsetag-tagging")
    found = client.search_runs([experiment.experiment_id], "tags.job = 'build_audiences' and tags.day = '2026-01-03'")
    assert [run.info.run_name for run in found] == ["audience mvke 2026-01-03"]
    assert [file.path for file in client.list_artifacts(found[0].info.run_id)] == ["audience_sizes.png"]
    manifest = read_manifest(Paths(lake.lake.root).audience(DAY, "intention"), remedy="")
    assert found[0].data.metrics["intention_audience_rows"] == manifest["rows"]
    assert found[0].data.metrics["intention_audience_users"] == manifest["reached"]


def test_what_is_there_is_left(lake: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    before = hashes(lake.lake.root)
    for job in (build_profiles, build_audiences):
        job(lake, DAY, force=False)
    assert capsys.readouterr().out.count("nothing to do") == 2
    assert hashes(lake.lake.root) == before


def test_killed_at_any_moment_and_run_again_gives_the_same_bytes(
    lake: Settings, tmp_path: Path, spark: SparkSession
) -> None:
    settings = tagged_lake(tmp_path)
    root = settings.lake.root
    undisturbed = hashes(lake.lake.root)
    killed(profiles, tmp_path, "tagging.merged:merge_block", 2)
    assert not (root / "profiles").exists()
    killed(audiences, tmp_path, "tagging.audience:find_block", 2)
    assert not (root / "audience").exists()
    (tmp_path / "calls").unlink()
    killed(audiences, tmp_path, "tagging.build_audiences:publish_staged", 1)
    assert [path.name for path in (root / "audience" / f"dt={DAY}").iterdir()] == ["task=interest"]
    profiles(tmp_path)
    audiences(tmp_path)
    assert hashes(root) == undisturbed


def other_users(paths: Paths) -> None:
    path = paths.users(DAY) / MANIFEST
    path.write_text(path.read_text().replace('"rows": 70', '"rows":  70'))


def damaged_tags(paths: Paths) -> None:
    file = next(iter(paths.user_tags(DAY, "intention").glob("*.parquet")))
    file.write_bytes(file.read_bytes()[:-1])


def no_tags(paths: Paths) -> None:
    (paths.user_tags(DAY, "intention") / MANIFEST).unlink()


def another_model(paths: Paths) -> None:
    tagger = trained()
    with torch.no_grad():
        tagger.of("interest").tag_tower.weight *= 2
    make_model(settings_in(paths.root.parent), DAY, tagger)


@pytest.mark.parametrize(
    ("damage", "jobs", "what"),
    [
        (other_users, [build_profiles, build_audiences], "task=interest: made of another users table"),
        (damaged_tags, [build_profiles, build_audiences], "parquet: damaged"),
        (no_tags, [build_profiles, build_audiences], "task=intention: not there"),
        (another_model, [build_audiences], "task=interest: made of other inputs than the audiences would be"),
    ],
)
def test_tags_that_do_not_fit_are_refused(
    spark: SparkSession, tmp_path: Path, damage: Callable[[Paths], None], jobs: list[Callable[..., None]], what: str
) -> None:
    settings = make_lake(tmp_path)
    tag_users(settings, DAY, force=False)
    paths = Paths(settings.lake.root)
    damage(paths)
    for job in jobs:
        with pytest.raises(Refusal, match=f"{what}.*; .*tag_users --day {DAY}"):
            job(settings, DAY, force=False)
    assert not (paths.root / "profiles").exists()
    assert not (paths.root / "audience").exists()


def test_an_audience_of_a_task_that_is_none_is_refused(tmp_path: Path) -> None:
    settings = make_lake(tmp_path, audience={"purchase": 0.3})
    with pytest.raises(Refusal, match="no task 'purchase'; choose from: interest, intention"):
        build_audiences(settings, DAY, force=False)


def test_an_audience_from_no_probability_is_refused_when_the_file_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARSETAG_TAGGING__AUDIENCE", '{"interest": 30}')
    with pytest.raises(Refusal, match="audience of 'interest' is no probability; choose one between 0 and 1"):
        load_settings(DEMO)
