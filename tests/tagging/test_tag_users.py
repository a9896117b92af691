"""The tagging job on a small lake: what it publishes, that it resumes, and what it refuses."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import mlflow
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
import torch

from conf import cli
from conf.paths import Paths
from conf.refusal import Refusal
from conf.settings import Settings, Spark
from etl.publish import MANIFEST, file_hash, identity, read_manifest
from tagging import blocks
from tagging import tag_users as job
from tests.kill import killed
from tests.tagging.lake import (
    DAY,
    TASKS,
    TERMS,
    USERS,
    hashes,
    make_lake,
    make_model,
    make_users,
    make_vocabulary,
    settings_in,
    table,
    user_ids,
)
from tests.tagging.trained import DEMO, SIZES, TAGS, literal, trained
from trainer import checkpoint

TABLES = ("user_tags", "profiles", "audience", "profile_diff")


def published(settings: Settings, task: str) -> pd.DataFrame:
    return table(Paths(settings.lake.root).user_tags(DAY, task))


def made(settings: Settings) -> dict[str, str]:
    """Hashes of all that the job has published."""
    return {f"{table}/{name}": sha for table in TABLES for name, sha in hashes(settings.lake.root / table).items()}


def tag(root: Path) -> None:
    """The job on the lake at `root`, its users in five blocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_USERS", 16)
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
    logits = torch.logit(wanted.values)
    shares = torch.sigmoid(sum(term * logits**power for term, power in zip(TERMS[task], (0, 1, 3), strict=True)))
    for user in range(USERS):
        own = rows.loc[f"u{user:02d}"]
        assert own.index.tolist() == [1, 2, 3]
        assert own["tag"].tolist() == [f"tag {TAGS[n]}" for n in wanted.indices[user].tolist()]
        assert own["score"].tolist() == pytest.approx(shares[user].tolist(), abs=0.003)


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
    assert set(manifest["made_from"]) == {"users", "vocabulary", "model", "predictions", "retired"}
    assert set(manifest["made_from"]["predictions"]) == {"2026-01-02", "2026-01-03"}
    for entry in manifest["files"]:
        assert file_hash(paths.user_tags(DAY, "intention") / entry["name"]) == entry["sha256"]
    assert not list((tagged.lake.root / "_staging").iterdir())


def test_same_bytes_for_any_partitioning(tagged: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One core instead of two, other partitions, the users in another order and in one file."""
    settings = make_lake(tmp_path, spark=Spark(master="local[1]", driver_memory="512m", shuffle_partitions=7))
    make_users(settings, [list(reversed(range(USERS)))])
    monkeypatch.setattr(blocks, "BLOCK_USERS", 16)
    job.tag_users(settings, DAY, force=False)
    ours, theirs = (
        # the manifests differ: they name the users table that the tags were made from
        {name: digest for name, digest in made(of).items() if not name.endswith(MANIFEST)}
        for of in (settings, tagged)
    )
    assert len(ours) == 2 * 5 + 5 + 2 + 1
    assert ours == theirs


def test_what_is_missing_is_made_again(tagged: Settings) -> None:
    """As after a kill between the renames: whatever is missing, the day is whole again, with the same bytes."""
    before, paths = made(tagged), Paths(tagged.lake.root)
    for gone in (paths.user_tags(DAY, "intention"), paths.audience(DAY, "interest"), paths.profiles(DAY)):
        shutil.rmtree(gone)
        tag(tagged.lake.root.parent)
        assert made(tagged) == before


def test_killed_twice_and_run_again_gives_the_bytes_of_an_undisturbed_run(tagged: Settings, tmp_path: Path) -> None:
    settings = make_lake(tmp_path)
    paths = Paths(settings.lake.root)
    undisturbed = made(tagged)
    staging = [paths.staging(folder) for folder in (paths.user_tags(DAY, "interest"), paths.profiles(DAY))]

    def staged() -> list[int]:
        return [len(list(folder.glob("*.parquet"))) for folder in staging]

    # with two of the five blocks written, the third perhaps begun
    killed(tag, tmp_path, "tagging.block:write_block", 2)
    assert all(2 <= files < 5 for files in staged())
    assert made(settings) == {}
    noted = paths.staging(paths.user_tags(DAY, "notes")).glob("*.json")
    finished = [folder / f"part-{note.stem}.parquet" for note in noted for folder in staging]
    before = {file: file.stat().st_mtime_ns for file in finished}
    assert len(before) >= 2
    (tmp_path / "calls").unlink()
    # between the renames: the tags of both tasks are there, nothing else
    killed(tag, tmp_path, "tagging.tag_users:publish_staged", 2)
    assert staged() == [0, 5]
    kept = {file: time for file, time in before.items() if file.is_file()}
    assert {file: file.stat().st_mtime_ns for file in kept} == kept  # not scored again
    assert kept
    assert made(settings) == {name: sha for name, sha in undisturbed.items() if name.startswith("user_tags/")}
    tag(tmp_path)
    assert made(settings) == undisturbed
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
    pictures = [file.path for file in client.list_artifacts(found[0].info.run_id)]
    assert pictures == ["audience_sizes.png", "tag_popularity.png"]


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


def users_with(paths: Paths, change: Callable[[torch.Tensor], None]) -> None:
    ids = user_ids()
    change(ids)
    make_users(settings_in(paths.root.parent), [list(range(USERS))], ids=ids)


def user_of_an_unknown_age(paths: Paths) -> None:
    """An id that the vocabulary does not have."""
    users_with(paths, lambda ids: ids[5].fill_(6))


def negative_id(paths: Paths) -> None:
    users_with(paths, lambda ids: ids[5].fill_(-1))


def missing_id(paths: Paths) -> None:
    file = paths.users(DAY) / "part-1.parquet"
    rows = pyarrow.parquet.read_table(file, partitioning=None)
    gender = pyarrow.array([None, *rows["f_gender"].to_pylist()[1:]], pyarrow.int32())
    pyarrow.parquet.write_table(rows.set_column(rows.schema.names.index("f_gender"), "f_gender", gender), file)


def numbers_for_ids(paths: Paths) -> None:
    """As if features had been written as they are, with NaN where they are missing."""
    file = paths.users(DAY) / "part-1.parquet"
    rows = pyarrow.parquet.read_table(file, partitioning=None)
    age = pyarrow.array([float("nan")] * len(rows), pyarrow.float32())
    pyarrow.parquet.write_table(rows.set_column(rows.schema.names.index("f_age"), "f_age", age), file)


def no_tags(paths: Paths) -> None:
    settings = settings_in(paths.root.parent)
    make_vocabulary(settings, DAY, [])
    make_users(settings, [list(range(USERS))])


def unknown_tag_id(paths: Paths) -> None:
    """A vocabulary whose table does not go with its manifest."""
    file = paths.vocabulary(DAY) / "part-0.parquet"
    rows = pyarrow.parquet.read_table(file, partitioning=None).to_pandas()
    rows.loc[0, "id"] = 22
    pyarrow.parquet.write_table(pyarrow.Table.from_pandas(rows.astype({"id": "Int32"})), file)


def other_number_of_experts(paths: Paths) -> None:
    """As if the model file said 5 and the checkpoint had been trained with 4."""
    path = paths.model("tagger", "mvke", DAY) / MANIFEST
    manifest = json.loads(path.read_text())
    manifest["model"]["virtual_kernels"] = 4
    path.write_text(json.dumps(manifest))


def weights_that_are_no_numbers(paths: Paths) -> None:
    tagger = trained()
    with torch.no_grad():
        tagger.of("interest").tag_tower.weight.fill_(float("nan"))
    make_model(settings_in(paths.root.parent), DAY, tagger)


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
        (user_of_an_unknown_age, "column f_age has ids that are missing or not in the vocabulary", "etl.build_users"),
        (negative_id, "column f_user_id has ids that are missing or not in the vocabulary", "etl.build_users"),
        (missing_id, "column f_gender has ids that are missing or not in the vocabulary", "etl.build_users"),
        (numbers_for_ids, "column f_age holds float, not int32", "etl.build_users"),
        (no_tags, "no value of 'tag' has an id yet", "start with more days"),
        (unknown_tag_id, "tag 'tag 21' has an id that its manifest does not know", "etl.build_samples"),
        (other_number_of_experts, "checkpoint of another model: virtual_kernels is 4, not 5", "go back to"),
        (weights_that_are_no_numbers, "mvke/dt=2026-01-03: its weights are not numbers", "--force"),
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
    assert made(settings) == {}


def test_retiring_every_tag_is_refused(tmp_path: Path) -> None:
    settings = make_lake(tmp_path, retired=[f"tag {n}" for n in TAGS])
    with pytest.raises(Refusal, match=r"\[tagging\] retired: every tag is retired; keep one"):
        job.tag_users(settings, DAY, force=False)
    assert made(settings) == {}


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
