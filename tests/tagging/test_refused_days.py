"""Inputs that the tagging job refuses: the error says what, where and a hint, and nothing is published."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import torch

from conf import cli
from conf.errors import InputError
from conf.paths import Paths
from etl.artefact import MANIFEST, identity, write_manifest
from tagging import tag_users as job
from tests.lakes.settings import DEMO
from tests.lakes.tagger import SIZES, TAGS, trained
from tests.lakes.tagging import (
    DAY,
    USERS,
    make_lake,
    make_model,
    make_users,
    make_vocabulary,
    tagging_settings,
    user_ids,
)
from tests.tagging.test_tag_users import published_files
from trainer.training import checkpoint


def break_users(paths: Paths) -> None:
    (paths.users(DAY) / MANIFEST).unlink()


def truncate_users(paths: Paths) -> None:
    file = paths.users(DAY) / "part-00001.parquet"
    file.write_bytes(file.read_bytes()[:-100])


def break_vocabulary(paths: Paths) -> None:
    (paths.vocabulary(DAY) / MANIFEST).unlink()


def users_of_another_vocabulary(paths: Paths) -> None:
    path = paths.users(DAY) / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), "vocabulary": "of yesterday"}))


def other_vocabulary(paths: Paths) -> None:
    """The vocabulary and the users table were rebuilt, the model was not."""
    write_manifest(paths.vocabulary(DAY), {"sizes": {**SIZES, "tag": 30}})
    users = paths.users(DAY) / MANIFEST
    users.write_text(json.dumps({**json.loads(users.read_text()), "vocabulary": identity(paths.vocabulary(DAY))}))


def remove_model(paths: Paths) -> None:
    (paths.model("tagger", "mvke", DAY) / MANIFEST).unlink()


def damage_model(paths: Paths) -> None:
    (paths.model("tagger", "mvke", DAY) / checkpoint.WEIGHTS).write_bytes(b"no weights")


def users_with(paths: Paths, change: Callable[[torch.Tensor], None]) -> None:
    ids = user_ids()
    change(ids)
    make_users(tagging_settings(paths.root.parent), [list(range(USERS))], ids=ids)


def user_of_an_unknown_age(paths: Paths) -> None:
    """An id that the vocabulary does not have."""
    users_with(paths, lambda ids: ids[5].fill_(6))


def negative_id(paths: Paths) -> None:
    users_with(paths, lambda ids: ids[5].fill_(-1))


def missing_id(paths: Paths) -> None:
    file = paths.users(DAY) / "part-00001.parquet"
    rows = pyarrow.parquet.read_table(file, partitioning=None)
    gender = pyarrow.array([None, *rows["f_gender"].to_pylist()[1:]], pyarrow.int32())
    pyarrow.parquet.write_table(rows.set_column(rows.schema.names.index("f_gender"), "f_gender", gender), file)


def numbers_for_ids(paths: Paths) -> None:
    """As if raw feature values had been written, with NaN for missing ones."""
    file = paths.users(DAY) / "part-00001.parquet"
    rows = pyarrow.parquet.read_table(file, partitioning=None)
    age = pyarrow.array([float("nan")] * len(rows), pyarrow.float32())
    pyarrow.parquet.write_table(rows.set_column(rows.schema.names.index("f_age"), "f_age", age), file)


def no_tags(paths: Paths) -> None:
    settings = tagging_settings(paths.root.parent)
    make_vocabulary(settings, DAY, [])
    make_users(settings, [list(range(USERS))])


def unknown_tag_id(paths: Paths) -> None:
    """A vocabulary whose table does not match its manifest."""
    file = paths.vocabulary(DAY) / "part-00000.parquet"
    rows = pyarrow.parquet.read_table(file, partitioning=None).to_pandas()
    rows.loc[0, "id"] = 22
    pyarrow.parquet.write_table(pyarrow.Table.from_pandas(rows.astype({"id": "Int32"})), file)


def other_number_of_experts(paths: Paths) -> None:
    """As if the model file said 5 and the checkpoint had been trained with 4."""
    path = paths.model("tagger", "mvke", DAY) / MANIFEST
    manifest = json.loads(path.read_text())
    manifest["model"]["sharing"]["virtual_kernels"] = 4
    path.write_text(json.dumps(manifest))


def weights_that_are_no_numbers(paths: Paths) -> None:
    tagger = trained()
    with torch.no_grad():
        tagger.towers_of("interest").tag_tower.weight.fill_(float("nan"))
    make_model(tagging_settings(paths.root.parent), DAY, tagger)


@pytest.mark.parametrize(
    ("damage", "what", "hint"),
    [
        (break_users, "users/dt=2026-01-03: not there", "build_users"),
        (truncate_users, "part-00001.parquet: not a whole Parquet file", "build_users"),
        (users_of_another_vocabulary, "users/dt=2026-01-03: encoded by another vocabulary", "build_users"),
        (break_vocabulary, "vocabulary/dt=2026-01-03: not there", "build_samples"),
        (other_vocabulary, "mvke/dt=2026-01-03: the checkpoint has another vocabulary", "go back to"),
        (remove_model, "mvke/dt=2026-01-03: not there", "sparsetag train_day --family tagger --day 2026-01-03"),
        (damage_model, "weights.pt is damaged", "--force"),
        (
            user_of_an_unknown_age,
            "column f_age has ids that are missing or not in the vocabulary",
            "build_users",
        ),
        (negative_id, "column f_user_id has ids that are missing or not in the vocabulary", "build_users"),
        (missing_id, "column f_gender has ids that are missing or not in the vocabulary", "build_users"),
        (numbers_for_ids, "column f_age holds float, not int32", "build_users"),
        (no_tags, "no value of 'tag' has an id yet", "start with more days"),
        (unknown_tag_id, "tag 'tag 21' has an id beyond the size that the manifest gives", "build_samples"),
        (other_number_of_experts, "the checkpoint has another model: sharing", "go back to"),
        (weights_that_are_no_numbers, "mvke/dt=2026-01-03: its weights are not finite", "--force"),
    ],
)
def test_refusals_name_what_is_wrong_and_publish_nothing(
    tmp_path: Path, damage: Callable[[Paths], None], what: str, hint: str
) -> None:
    settings = make_lake(tmp_path)
    damage(Paths(settings.lake.root))
    with pytest.raises(InputError) as refused:
        job.tag_users(settings, DAY, force=False)
    assert what in str(refused.value)
    assert hint in str(refused.value)
    assert published_files(settings) == {}


def test_retiring_every_tag_is_refused(tmp_path: Path) -> None:
    settings = make_lake(tmp_path, retired=[f"tag {n}" for n in TAGS])
    with pytest.raises(InputError, match=r"\[tagging\] retired: every tag is retired; take at least one out"):
        job.tag_users(settings, DAY, force=False)
    assert published_files(settings) == {}


def test_the_command_refuses_with_one_line_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPARSETAG_LAKE__ROOT", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["tag_users", "--config", str(DEMO), "--day", "2026-01-03"])
    with pytest.raises(SystemExit) as stopped:
        cli.run(job.main)
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
