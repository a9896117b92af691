"""The tagging job on a small lake: what it publishes, and that a killed job resumes."""

import shutil
from pathlib import Path

import mlflow
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
import torch

from conf.paths import Paths
from conf.settings.run_file import Settings, Spark
from etl.artefact import MANIFEST, file_hash, read_manifest
from tagging import tag_users as job
from tagging.tables import blocks
from tests.kill import killed
from tests.lakes.settings import START
from tests.lakes.tables import hashes, read_table
from tests.lakes.tagger import TAGS, literal, trained
from tests.lakes.tagging import (
    DAY,
    TASKS,
    TERMS,
    USERS,
    make_lake,
    make_model,
    make_users,
    make_vocabulary,
    tagging_settings,
    user_ids,
)

TABLES = ("user_tags", "profiles", "audience", "profile_diff")


def user_tags(settings: Settings, task: str) -> pd.DataFrame:
    return read_table(Paths(settings.lake.root).user_tags(DAY, task))


def published_files(settings: Settings) -> dict[str, str]:
    """Hashes of everything the job has published."""
    return {f"{table}/{name}": sha for table in TABLES for name, sha in hashes(settings.lake.root / table).items()}


def tag(root: Path) -> None:
    """Runs the job on the lake at `root`, its users in five blocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_USERS", 16)
        job.tag_users(tagging_settings(root), DAY, force=False)


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake after the job."""
    root = tmp_path_factory.mktemp("tagged")
    settings = make_lake(root)
    tag(root)
    return settings


@pytest.mark.parametrize("task", TASKS)
def test_every_user_gets_the_best_tags_of_the_literal_model(tagged: Settings, task: str) -> None:
    rows = user_tags(tagged, task).set_index(["user_id", "rank"]).sort_index()
    assert len(rows) == 3 * USERS
    wanted = literal(trained(), user_ids(), task).topk(3, dim=1)
    logits = torch.logit(wanted.values)
    shares = torch.sigmoid(sum(term * logits**power for term, power in zip(TERMS[task], (0, 1, 3), strict=True)))
    for user in range(USERS):
        own = rows.loc[f"u{user:02d}"]
        assert own.index.tolist() == [1, 2, 3]
        assert own["tag"].tolist() == [f"tag {TAGS[n]}" for n in wanted.indices[user].tolist()]
        assert own["score"].tolist() == pytest.approx(shares[user].tolist(), abs=0.003)


def test_tables_have_the_columns_of_the_contract_and_are_sorted(tagged: Settings) -> None:
    for task in TASKS:
        folder = Paths(tagged.lake.root).user_tags(DAY, task)
        files = sorted(folder.glob("*.parquet"))
        assert [f.name for f in files] == [f"part-{n:05d}.parquet" for n in range(5)]
        for file in files:
            table = pyarrow.parquet.read_table(file, partitioning=None)
            assert [(f.name, str(f.type)) for f in table.schema] == [
                ("user_id", "string"), ("tag", "string"), ("score", "float"), ("rank", "int32"),
            ]  # fmt: skip
            assert table.equals(table.sort_by([("user_id", "ascending"), ("rank", "ascending")]))


def test_the_manifest_describes_the_table_and_its_inputs(tagged: Settings) -> None:
    paths = Paths(tagged.lake.root)
    rows = user_tags(tagged, "intention")
    manifest = read_manifest(paths.user_tags(DAY, "intention"), hint="")
    counts = rows["tag"].value_counts()
    assert (manifest["users"], manifest["users_tagged"], manifest["rows"], manifest["tags"]) == (70, 70, 210, 20)
    assert (manifest["coverage"], manifest["tags_per_user"]) == (1, 3)
    assert manifest["mean_score"] == pytest.approx(rows["score"].mean())
    assert manifest["mean_top_score"] == pytest.approx(rows[rows["rank"] == 1]["score"].mean())
    assert manifest["tags_in_use"] == len(counts)
    assert dict(manifest["popular"]) == counts.to_dict()
    assert [count for _, count in manifest["popular"]] == sorted(counts, reverse=True)
    assert set(manifest["made_from"]) == {"users", "vocabulary", "model", "predictions", "retired"}
    assert set(manifest["made_from"]["predictions"]) == {"2026-01-02", "2026-01-03"}
    assert [entry["name"] for entry in manifest["files"]] == [f"part-{n:05d}.parquet" for n in range(5)]
    for entry in manifest["files"]:
        assert file_hash(paths.user_tags(DAY, "intention") / entry["name"]) == entry["sha256"]
    assert not list((tagged.lake.root / "_staging").iterdir())


def test_same_bytes_for_any_partitioning(tagged: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One core (unless a session of two is running), other partitions, the users in another order and in one file."""
    spark = Spark(master="local[1]", driver_memory="512m", shuffle_partitions=7)
    settings = make_lake(tmp_path).model_copy(update={"spark": spark})
    make_users(settings, [list(reversed(range(USERS)))])
    monkeypatch.setattr(blocks, "BLOCK_USERS", 16)
    job.tag_users(settings, DAY, force=False)
    ours, theirs = (
        # the manifests differ: they name the users table that the tags were made from
        {name: digest for name, digest in published_files(of).items() if not name.endswith(MANIFEST)}
        for of in (settings, tagged)
    )
    assert len(ours) == 2 * 5 + 5 + 2 + 1
    assert ours == theirs


def test_the_order_of_features_in_the_run_file_does_not_matter(
    tagged: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model of the first day fixes it: a run file in reverse order gives the same bytes."""
    settings = make_lake(tmp_path)
    make_vocabulary(settings, START)
    make_model(settings, START)
    monkeypatch.setattr(blocks, "BLOCK_USERS", 16)
    job.tag_users(settings.model_copy(update={"features": settings.features[::-1]}), DAY, force=False)
    assert published_files(settings) == published_files(tagged)


def test_missing_tables_are_built_again(tagged: Settings) -> None:
    """As after a kill between two renames: the day is complete again, with the same bytes."""
    before, paths = published_files(tagged), Paths(tagged.lake.root)
    for gone in (paths.user_tags(DAY, "intention"), paths.audience(DAY, "interest"), paths.profiles(DAY)):
        shutil.rmtree(gone)
        tag(tagged.lake.root.parent)
        assert published_files(tagged) == before


def test_a_job_killed_twice_gives_the_bytes_of_an_undisturbed_run(tagged: Settings, tmp_path: Path) -> None:
    settings = make_lake(tmp_path)
    paths = Paths(settings.lake.root)
    undisturbed = published_files(tagged)
    staging = [paths.staging(folder) for folder in (paths.user_tags(DAY, "interest"), paths.profiles(DAY))]

    def staged() -> list[int]:
        return [len(list(folder.glob("*.parquet"))) for folder in staging]

    # two of the five blocks are written, and perhaps part of the third
    killed(tag, tmp_path, "tagging.tables.worker:write_block", 2)
    assert all(2 <= files < 5 for files in staged())
    assert published_files(settings) == {}
    reports = paths.staging(paths.user_tags(DAY, "progress")).glob("*.json")
    finished = [folder / f"part-{report.stem}.parquet" for report in reports for folder in staging]
    before = {file: file.stat().st_mtime_ns for file in finished}
    assert len(before) >= 2
    (tmp_path / "calls").unlink()
    # between the renames: the tags of both tasks are published, nothing else
    killed(tag, tmp_path, "tagging.tag_users:publish_staged", 2)
    assert staged() == [0, 5]
    kept = {file: time for file, time in before.items() if file.is_file()}
    assert {file: file.stat().st_mtime_ns for file in kept} == kept  # not scored again
    assert kept
    assert published_files(settings) == {
        name: sha for name, sha in undisturbed.items() if name.startswith("user_tags/")
    }
    tag(tmp_path)
    assert published_files(settings) == undisturbed
    assert not list((paths.root / "_staging").iterdir())
    client = mlflow.tracking.MlflowClient(settings.tracking.uri)
    experiment = client.get_experiment_by_name("sparsetag-tagging")
    of_day = client.search_runs([experiment.experiment_id], "tags.day = '2026-01-03'")
    assert [run.info.status for run in of_day] == ["FINISHED"]


def test_a_published_day_is_left_alone(tagged: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "session", lambda spark: pytest.fail("Spark was started for nothing"))
    job.tag_users(tagged, DAY, force=False)


def test_one_mlflow_run_a_day_with_the_metrics_of_both_tasks(tagged: Settings) -> None:
    client = mlflow.tracking.MlflowClient(tagged.tracking.uri)
    experiment = client.get_experiment_by_name("sparsetag-tagging")
    found = client.search_runs([experiment.experiment_id], "tags.day = '2026-01-03'")
    assert [run.info.run_name for run in found] == ["mvke 2026-01-03"]
    metrics = found[0].data.metrics
    for task in TASKS:
        manifest = read_manifest(Paths(tagged.lake.root).user_tags(DAY, task), hint="")
        for name in ("users_tagged", "coverage", "tags_per_user", "mean_top_score"):
            assert metrics[f"{task}_{name}"] == manifest[name]
    assert found[0].data.params["top_k"] == "3"
    pictures = [file.path for file in client.list_artifacts(found[0].info.run_id)]
    assert pictures == ["audience_sizes.png", "tag_popularity.png"]
