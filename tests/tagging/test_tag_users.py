"""The tagging job on a small lake: what it publishes, that it resumes, and what it refuses."""

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
import torch

from conf import cli
from conf.load import load_settings
from conf.paths import Paths
from conf.refusal import Refusal
from conf.settings import Lake, Settings, Spark, Tagging, Tracking
from etl.contract import columns_of, users_schema
from etl.publish import MANIFEST, file_hash, identity, publish, read_manifest, write_manifest
from tagging import tag_users as job
from tests.kill import killed
from tests.tagging.trained import DEMO, FEATURES, SIZES, TAGS, literal, trained
from trainer import checkpoint
from trainer.daily_run import open_run

DAY = date(2026, 1, 3)
USERS = 70
TASKS = ("interest", "intention")
USER_COLUMNS = columns_of(f for f in FEATURES if f.table == "users")


def settings_in(root: Path, spark: Spark | None = None, **tagging: Any) -> Settings:
    return load_settings(DEMO).model_copy(
        update={
            "lake": Lake(root=root / "lake"),
            "tracking": Tracking(uri=f"sqlite:///{root}/mlflow.db"),
            "spark": spark or Spark(master="local[2]", driver_memory="512m", shuffle_partitions=2),
            "tagging": Tagging(top_k=3, **tagging),
        }
    )


def user_ids() -> torch.Tensor:
    limits = torch.tensor([SIZES[f.name] for f in FEATURES if f.table == "users"])
    return (torch.rand(USERS, len(limits), generator=torch.Generator().manual_seed(5)) * (limits - 1)).long() + 1


def make_users(settings: Settings, files: list[list[int]]) -> None:
    """users/dt=DAY with the users of these numbers in each file."""
    types = {"string": pyarrow.string(), "int": pyarrow.int32()}
    schema = pyarrow.schema([(name, types[kind]) for name, kind in users_schema(settings.features).items()])
    ids = user_ids()

    def write(folder: Path) -> None:
        entries = []
        for n, users in enumerate(files):
            columns = {name: ids[users, place].tolist() for place, name in enumerate(USER_COLUMNS)}
            path = folder / f"part-{n}.parquet"
            pyarrow.parquet.write_table(
                pyarrow.table({"user_id": [f"u{u:02d}" for u in users], **columns}, schema=schema), path
            )
            entries.append({"name": path.name, "rows": len(users), "sha256": file_hash(path)})
        write_manifest(folder, {"rows": USERS, "files": entries, "vocabulary": identity(paths.vocabulary(DAY))})

    paths = Paths(settings.lake.root)
    publish(paths, paths.users(DAY), write)


def make_lake(root: Path, **changes: Any) -> Settings:
    settings = settings_in(root, **changes)
    paths = Paths(settings.lake.root)

    def write_vocabulary(folder: Path) -> None:
        rows = [{"feature": "tag", "value": f"tag {n}", "id": n} for n in reversed(TAGS)]
        rows += [{"feature": "tag", "value": "rare", "id": None}, {"feature": "age", "value": "30", "id": 2}]
        schema = pyarrow.schema([("feature", pyarrow.string()), ("value", pyarrow.string()), ("id", pyarrow.int32())])
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), folder / "part-0.parquet")
        write_manifest(folder, {"sizes": SIZES})

    publish(paths, paths.vocabulary(DAY), write_vocabulary)
    make_users(settings, [list(range(0, USERS, 2)), list(range(1, USERS, 2))])
    run = open_run(settings, "tagger")
    manifest = {**run.identity(DAY), "sizes": SIZES}
    target = paths.model("tagger", run.name, DAY)
    publish(paths, target, lambda folder: checkpoint.save(folder, trained(), {}, manifest))
    return settings


def published(settings: Settings, task: str) -> pd.DataFrame:
    folder = Paths(settings.lake.root).user_tags(DAY, task)
    return pyarrow.parquet.read_table(folder, partitioning=None).to_pandas()


def hashes(settings: Settings) -> dict[str, str]:
    root = settings.lake.root / "user_tags"
    return {str(path.relative_to(root)): file_hash(path) for path in sorted(root.rglob("*")) if path.is_file()}


def tag(root: Path) -> None:
    """The job on the lake at `root`, its users in five blocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "BLOCK_USERS", 16)
        job.tag_users(settings_in(root), DAY, force=False)


@pytest.fixture(scope="module")
def tagged(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake after the job."""
    root = tmp_path_factory.mktemp("tagged")
    settings = make_lake(root)
    tag(root)
    return settings


@pytest.mark.parametrize("task", TASKS)
def test_every_user_gets_the_best_tags_of_the_literal_model(tagged: Settings, task: str) -> None:
    rows = published(tagged, task).set_index(["user_id", "rank"]).sort_index()
    assert len(rows) == 3 * USERS
    wanted = literal(trained(), user_ids(), task).topk(3, dim=1)
    for user in range(USERS):
        own = rows.loc[f"u{user:02d}"]
        assert own.index.tolist() == [1, 2, 3]
        assert own["tag"].tolist() == [f"tag {TAGS[n]}" for n in wanted.indices[user].tolist()]
        assert own["score"].tolist() == pytest.approx(wanted.values[user].tolist(), abs=1e-5)


def test_tables_have_the_contract_s_columns_and_are_sorted(tagged: Settings) -> None:
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


def test_the_manifest_says_what_was_made_of_what(tagged: Settings) -> None:
    paths = Paths(tagged.lake.root)
    rows = published(tagged, "intention")
    manifest = read_manifest(paths.user_tags(DAY, "intention"), remedy="")
    counts = rows["tag"].value_counts()
    assert (manifest["users"], manifest["users_tagged"], manifest["rows"], manifest["tags"]) == (70, 70, 210, 20)
    assert (manifest["coverage"], manifest["tags_per_user"]) == (1, 3)
    assert manifest["mean_score"] == pytest.approx(rows["score"].mean())
    assert manifest["mean_top_score"] == pytest.approx(rows[rows["rank"] == 1]["score"].mean())
    assert manifest["tags_in_use"] == len(counts)
    assert dict(manifest["popular"]) == counts.to_dict()
    assert [count for _, count in manifest["popular"]] == sorted(counts, reverse=True)
    assert set(manifest["made_from"]) == {"users", "vocabulary", "model"}
    for entry in manifest["files"]:
        assert file_hash(paths.user_tags(DAY, "intention") / entry["name"]) == entry["sha256"]
    assert not list((tagged.lake.root / "_staging").iterdir())


def test_same_bytes_for_any_partitioning(tagged: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One core instead of two, other partitions, the users in another order and in one file."""
    settings = make_lake(tmp_path, spark=Spark(master="local[1]", driver_memory="512m", shuffle_partitions=7))
    make_users(settings, [list(reversed(range(USERS)))])
    monkeypatch.setattr(job, "BLOCK_USERS", 16)
    job.tag_users(settings, DAY, force=False)
    ours, theirs = (
        # the manifests differ: they name the users table that the tags were made from
        {name: digest for name, digest in hashes(of).items() if not name.endswith(MANIFEST)}
        for of in (settings, tagged)
    )
    assert len(ours) == 10
    assert ours == theirs


def test_what_is_there_is_left_and_what_is_missing_is_made(
    tagged: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after a kill between the two renames."""
    before = hashes(tagged)
    paths = Paths(tagged.lake.root)
    kept = {p: p.stat().st_mtime_ns for p in paths.user_tags(DAY, "interest").iterdir()}
    paths.user_tags(DAY, "intention").rename(paths.root / "gone")
    monkeypatch.setattr(job, "BLOCK_USERS", 16)
    job.tag_users(tagged, DAY, force=False)
    assert hashes(tagged) == before
    assert {p: p.stat().st_mtime_ns for p in paths.user_tags(DAY, "interest").iterdir()} == kept
    assert f"user_tags {DAY} interest: present in" in capsys.readouterr().out


def test_killed_twice_and_run_again_gives_the_bytes_of_an_undisturbed_run(tagged: Settings, tmp_path: Path) -> None:
    settings = make_lake(tmp_path)
    paths = Paths(settings.lake.root)
    undisturbed = hashes(tagged)

    def staged() -> list[int]:
        return [len(list(paths.staging(paths.user_tags(DAY, task)).glob("*.parquet"))) for task in TASKS]

    # with two of the five blocks written, the third perhaps begun
    killed(tag, tmp_path, "tagging.profile:tag_block", 2)
    assert all(2 <= files < 5 for files in staged())
    assert hashes(settings) == {}
    # between the renames of the two tasks
    killed(tag, tmp_path, "tagging.tag_users:publish_staged", 1)
    assert staged() == [0, 5]
    assert hashes(settings) == {name: sha for name, sha in undisturbed.items() if "task=interest" in name}
    tag(tmp_path)
    assert hashes(settings) == undisturbed
    assert not list((paths.root / "_staging").iterdir())
    client = mlflow.tracking.MlflowClient(settings.tracking.uri)
    experiment = client.get_experiment_by_name("sparsetag-tagging")
    of_day = client.search_runs([experiment.experiment_id], "tags.day = '2026-01-03'")
    assert [run.info.status for run in of_day] == ["FINISHED"]


def test_everything_there_is_nothing_to_do(tagged: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "session", lambda spark: pytest.fail("Spark was started for nothing"))
    job.tag_users(tagged, DAY, force=False)


def test_one_mlflow_run_a_day_with_the_figures_of_both_tasks(tagged: Settings) -> None:
    client = mlflow.tracking.MlflowClient(tagged.tracking.uri)
    experiment = client.get_experiment_by_name("sparsetag-tagging")
    found = client.search_runs([experiment.experiment_id], "tags.day = '2026-01-03'")
    assert [run.info.run_name for run in found] == ["mvke 2026-01-03"]
    metrics = found[0].data.metrics
    for task in TASKS:
        manifest = read_manifest(Paths(tagged.lake.root).user_tags(DAY, task), remedy="")
        for name in ("users_tagged", "coverage", "tags_per_user", "mean_top_score"):
            assert metrics[f"{task}_{name}"] == manifest[name]
    assert found[0].data.params["top_k"] == "3"
    assert [file.path for file in client.list_artifacts(found[0].info.run_id)] == ["tag_popularity.png"]


def break_users(paths: Paths) -> None:
    (paths.users(DAY) / MANIFEST).unlink()


def truncate_users(paths: Paths) -> None:
    file = paths.users(DAY) / "part-1.parquet"
    file.write_bytes(file.read_bytes()[:-100])


def break_vocabulary(paths: Paths) -> None:
    (paths.vocabulary(DAY) / MANIFEST).unlink()


def users_of_another_vocabulary(paths: Paths) -> None:
    path = paths.users(DAY) / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), "vocabulary": "of yesterday"}))


def other_vocabulary(paths: Paths) -> None:
    """The vocabulary and the users table were made again, the model was not."""
    path = paths.vocabulary(DAY) / MANIFEST
    path.write_text(json.dumps({"sizes": {**SIZES, "tag": 30}}))
    users = paths.users(DAY) / MANIFEST
    users.write_text(json.dumps({**json.loads(users.read_text()), "vocabulary": identity(paths.vocabulary(DAY))}))


def remove_model(paths: Paths) -> None:
    (paths.model("tagger", "mvke", DAY) / MANIFEST).unlink()


def damage_model(paths: Paths) -> None:
    (paths.model("tagger", "mvke", DAY) / checkpoint.WEIGHTS).write_bytes(b"no weights")


@pytest.mark.parametrize(
    ("damage", "what", "remedy"),
    [
        (break_users, "users/dt=2026-01-03: not there", "etl.build_users"),
        (truncate_users, "part-1.parquet: not a whole Parquet file", "etl.build_users"),
        (users_of_another_vocabulary, "users/dt=2026-01-03: encoded by another vocabulary", "etl.build_users"),
        (break_vocabulary, "vocabulary/dt=2026-01-03: not there", "etl.build_samples"),
        (other_vocabulary, "mvke/dt=2026-01-03: checkpoint of another vocabulary", "train a run of another name"),
        (remove_model, "mvke/dt=2026-01-03: not there", "trainer.train_day --family tagger --day 2026-01-03"),
        (damage_model, "weights.pt is damaged", "--force"),
    ],
)
def test_refusals_name_what_is_wrong_and_publish_nothing(
    tmp_path: Path, damage: Callable[[Paths], None], what: str, remedy: str
) -> None:
    settings = make_lake(tmp_path)
    damage(Paths(settings.lake.root))
    with pytest.raises(Refusal) as refused:
        job.tag_users(settings, DAY, force=False)
    assert what in str(refused.value)
    assert remedy in str(refused.value)
    assert hashes(settings) == {}


def test_the_command_refuses_with_one_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPARSETAG_LAKE__ROOT", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["tag_users", "--config", str(DEMO), "--day", "2026-01-03"])
    with pytest.raises(SystemExit) as stopped:
        cli.run(job.main)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("refused: ")
    assert error.count("\n") == 1
