"""Changes since the day before, and the days refused for them."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
from pyspark.sql import SparkSession

from conf.errors import InputError
from conf.paths import Paths
from conf.settings.run_file import Settings, Tagging
from etl.artefact import publish, read_manifest, write_manifest
from tagging import tag_users as job
from tagging.monitoring import changes
from tagging.tables.user_tags import SCHEMA
from tests.kill import killed
from tests.lakes.tables import hashes, read_table
from tests.lakes.tagger import SIZES, trained
from tests.lakes.tagging import (
    DAY,
    TASKS,
    USERS,
    make_lake,
    make_model,
    make_predictions,
    make_users,
    make_vocabulary,
    tagging_settings,
)

NEXT = DAY + timedelta(days=1)
WITH_NEW_TAG = range(2, 23)


def with_tagging(settings: Settings, **tagging: Any) -> Settings:
    return settings.model_copy(update={"tagging": Tagging(**{**settings.tagging.model_dump(), **tagging})})


def write_tags(folder: Path, rows: list[tuple[str, str, float]]) -> Path:
    folder.mkdir()
    users, tags, scores = zip(*rows, strict=True)
    columns = [users, tags, pyarrow.array(scores, pyarrow.float32()), pyarrow.array([1] * len(rows), pyarrow.int32())]
    table = pyarrow.table([pyarrow.array(column) for column in columns], schema=SCHEMA)
    pyarrow.parquet.write_table(table, folder / "a.parquet")
    return folder


def test_changes_by_hand(spark: SparkSession, tmp_path: Path) -> None:
    before = write_tags(tmp_path / "a", [("u1", "a", 0.5), ("u1", "b", 0.4), ("u2", "a", 0.25), ("u4", "a", 0.5)])
    now = write_tags(tmp_path / "b", [("u1", "a", 0.75), ("u1", "c", 0.2), ("u3", "a", 0.1), ("u4", "a", 0.375)])
    found = changes.changes_by_tag(spark, "interest", before, now)
    assert list(found.columns) == ["task", "tag", "gained", "lost", "kept", "score_shift"]
    # of tag a: u3 gained it, u2 lost it, u1 and u4 kept it and moved by +0.25 and -0.125
    assert found.iloc[0].tolist() == ["interest", "a", 1, 1, 2, 0.0625]
    assert found.iloc[1].tolist()[:5] == ["interest", "b", 0, 1, 0]
    assert found.iloc[2].tolist()[:5] == ["interest", "c", 1, 0, 0]
    assert found["score_shift"].isna().tolist() == [False, True, True]

    metrics = changes.change_metrics(found, 3, 3, retired=[])
    assert (metrics["gained"], metrics["lost"], metrics["kept"]) == (2, 2, 2)
    assert (metrics["coverage_ratio"], metrics["churn"], metrics["score_shift"]) == (1, 0.5, 0.0625)
    assert changes.change_metrics(found, 4, 3, retired=["b"])["churn"] == pytest.approx(1 / 3)  # of tag a alone
    assert changes.change_metrics(found, 4, 3, retired=["b"])["coverage_ratio"] == 0.75


def test_the_day_after_a_refused_one_is_compared_too(tmp_path: Path) -> None:
    """With the last tagged day, never with a later one."""
    settings = tagging_settings(tmp_path)
    paths = Paths(settings.lake.root)
    for day in (date(2026, 1, 2), date(2026, 1, 6)):
        publish(paths, paths.user_tags(day, "interest"), lambda folder: write_manifest(folder, {}))
    assert changes.last_tagged(settings, date(2026, 1, 5), "interest") == date(2026, 1, 2)
    assert changes.last_tagged(settings, date(2026, 1, 7), "interest") == date(2026, 1, 6)
    assert changes.last_tagged(settings, date(2026, 1, 2), "interest") is None
    assert changes.last_tagged(settings, date(2026, 1, 1), "interest") is None
    assert changes.last_tagged(settings, date(2026, 1, 5), "intention") is None


def make_next_day(settings: Settings, users: int = USERS, **model: Any) -> None:
    """Everything that tagging NEXT needs, with one more tag and so many users."""
    make_vocabulary(settings, NEXT, WITH_NEW_TAG)
    make_users(settings, [list(range(users))], NEXT)
    make_model(settings, NEXT, trained(sizes={**SIZES, "tag": 23}, **model), WITH_NEW_TAG)
    make_predictions(settings, NEXT)


@pytest.fixture(scope="module")
def two_days(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """DAY is tagged, every user with every tag; NEXT has its inputs."""
    settings = make_lake(tmp_path_factory.mktemp("changes"), top_k=30)
    job.tag_users(settings, DAY, force=False)
    make_next_day(settings)
    return settings


def tags_of_next(settings: Settings, task: str) -> pd.DataFrame:
    return read_table(Paths(settings.lake.root).user_tags(NEXT, task))


def test_the_first_tagged_day_has_nothing_to_compare_with(two_days: Settings) -> None:
    folder = Paths(two_days.lake.root).profile_diff(DAY)
    assert len(read_table(folder)) == 0
    assert read_manifest(folder, hint="")["tasks"] == {}


def test_a_new_tag_is_scored_today_and_a_retired_one_is_gone(
    two_days: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """Retiring tags 5 and 6 is no churn; the new tag 22 is gained by all."""
    settings = with_tagging(two_days, retired=["tag 5", "tag 6", "no such tag"], max_churn=0.0)
    job.tag_users(settings, NEXT, force=True)
    (warned,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert warned.getMessage() == "retired tags not in the vocabulary"
    assert warned.__dict__["fields"] == {"day": NEXT, "tags": "no such tag"}
    manifest = read_manifest(Paths(settings.lake.root).profile_diff(NEXT), hint="")
    diff = read_table(Paths(settings.lake.root).profile_diff(NEXT)).set_index(["task", "tag"])
    for task in TASKS:
        counts = tags_of_next(settings, task)["tag"].value_counts().to_dict()
        wanted = {f"tag {n}": USERS for n in WITH_NEW_TAG if n not in (5, 6)}
        assert counts == wanted
        assert diff.loc[(task, "tag 22")].tolist()[:3] == [USERS, 0, 0]
        assert diff.loc[(task, "tag 5")].tolist()[:3] == [0, USERS, 0]
        assert diff.loc[(task, "tag 7")].tolist()[:3] == [0, 0, USERS]
        metrics = manifest["tasks"][task]
        assert metrics["compared_with"] == "2026-01-03"
        assert (metrics["churn"], metrics["coverage_ratio"], metrics["lost"]) == (0.0, 1.0, 2 * USERS)


@pytest.mark.parametrize(
    ("bounds", "why"),
    [
        # each user loses 17 of 20 tags
        ({"top_k": 3}, "interest: users would lose .*% of their tags .max_churn = 0.6.; intention: "),
        # no score is that high
        ({"min_score": 0.99, "max_churn": 1.0}, "interest: 0 users with a tag, 70 before .min_coverage_ratio = 0.9."),
    ],
)
def test_nothing_of_a_day_that_changes_too_much_is_published(
    two_days: Settings, bounds: dict[str, Any], why: str
) -> None:
    root = two_days.lake.root
    before = {name: sha for name, sha in hashes(root).items() if "_staging" not in name}
    with pytest.raises(InputError, match=why) as refused:
        job.tag_users(with_tagging(two_days, **bounds), NEXT, force=True)
    assert "SPARSETAG_TAGGING__MAX_CHURN=1" in str(refused.value)
    assert {name: sha for name, sha in hashes(root).items() if "_staging" not in name} == before
    client = mlflow.tracking.MlflowClient(two_days.tracking.uri)
    experiment = client.get_experiment_by_name("sparsetag-tagging")
    (run,) = client.search_runs([experiment.experiment_id], f"tags.day = '{NEXT}'")
    assert run.info.status == "FAILED"
    assert run.data.params["refused"] in str(refused.value)
    assert "churn_by_tag.png" in [file.path for file in client.list_artifacts(run.info.run_id)]


def test_a_refused_day_can_be_published_anyway(two_days: Settings) -> None:
    """By the two settings that the refusal names."""
    settings = with_tagging(two_days, top_k=3, max_churn=1.0, min_coverage_ratio=0.0)
    job.tag_users(settings, NEXT, force=True)
    assert len(tags_of_next(settings, "interest")) == 3 * USERS
    client = mlflow.tracking.MlflowClient(two_days.tracking.uri)
    experiment = client.get_experiment_by_name("sparsetag-tagging")
    (run,) = client.search_runs([experiment.experiment_id], f"tags.day = '{NEXT}'")
    assert run.info.status == "FINISHED"


def tag_next(root: Path) -> None:
    job.tag_users(tagging_settings(root, max_churn=1.0), NEXT, force=False)


def test_a_job_killed_before_profile_diff_publishes_it_when_run_again(spark: SparkSession, tmp_path: Path) -> None:
    """Killed after all other tables of NEXT were published."""
    settings = make_lake(tmp_path, max_churn=1.0)
    job.tag_users(settings, DAY, force=False)
    make_next_day(settings)
    paths = Paths(settings.lake.root)
    killed(tag_next, tmp_path, "tagging.tag_users:publish_staged", 5)
    tags = hashes(paths.root / "user_tags")
    assert len([name for name in tags if f"dt={NEXT}" in name and name.endswith("parquet")]) == 2
    assert not paths.profile_diff(NEXT).exists()
    tag_next(tmp_path)
    assert hashes(paths.root / "user_tags") == tags
    assert set(read_table(paths.profile_diff(NEXT))["task"]) == set(TASKS)
    assert not list((paths.root / "_staging").iterdir())
