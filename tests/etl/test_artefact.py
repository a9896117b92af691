"""Artefacts: complete or absent, made from what they say, and of this version's format."""

import json
import subprocess
import sys
from datetime import date

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conf.errors import InputError
from conf.paths import Paths
from etl import artefact


def publish(root, content, name="thing"):
    artefact.publish(Paths(root), root / name, lambda folder: artefact.write_manifest(folder, content))
    return root / name


def test_publishing_replaces_what_was_there_and_leaves_nothing_aside(tmp_path):
    publish(tmp_path, {"made": 1})
    target = publish(tmp_path, {"made": 2})
    assert artefact.read_manifest(target, hint="") == {"made": 2, "format": 2}
    assert [path.name for path in tmp_path.rglob("*")] == ["_staging", "thing", "_MANIFEST.json"]


def test_an_artefact_that_fails_to_be_written_stays_as_it_was(tmp_path):
    target = publish(tmp_path, {"made": 1})

    def fail(folder):
        artefact.write_manifest(folder, {"made": 2})
        raise OSError("disk full")

    with pytest.raises(OSError):
        artefact.publish(Paths(tmp_path), target, fail)
    assert artefact.read_manifest(target, hint="") == {"made": 1, "format": 2}


@pytest.mark.parametrize(
    ("made_from", "expected"),
    [
        ({}, True),
        ({"day": date(2026, 1, 1), "sizes": (1, 2)}, True),  # compared as JSON has them
        ({"model": {"seed": 0}}, True),
        ({"model": {"seed": 1}}, False),
        ({"day": date(2026, 1, 1), "samples": None}, False),  # the manifest has no such key
    ],
)
def test_up_to_date_is_published_and_made_from_the_same(tmp_path, made_from, expected):
    assert not artefact.up_to_date(tmp_path / "thing", made_from)
    target = publish(tmp_path, {"day": date(2026, 1, 1), "sizes": (1, 2), "model": {"seed": 0}, "rows": 5})
    assert artefact.up_to_date(target, made_from) is expected


@pytest.mark.parametrize(
    ("content", "writer"), [({}, "sparsetag 0.1"), ({"format": 3}, "another version of sparsetag")]
)
@pytest.mark.parametrize(
    "read",
    [
        artefact.is_published,
        lambda target: artefact.up_to_date(target, {}),
        lambda target: artefact.read_manifest(target, hint="wrong hint"),
    ],
)
def test_a_lake_of_another_version_is_refused_with_the_commands_that_rebuild_it(tmp_path, content, writer, read):
    (tmp_path / "_MANIFEST.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=f"this lake was written by {writer}") as refusal:
        read(tmp_path)
    for part in (
        "choose another [lake] root, or remove the old lake folder",
        "python -m etl.build_samples --config <run file> --from <[training] start> --to <last day>",
        "python -m trainer.generate_masks --config <run file>",
        "python -m trainer.train_day --config <run file> --family <ranker or tagger> --day <last day>",
    ):
        assert part in refusal.value.hint
    assert refusal.value.where == str(tmp_path)


def test_an_absent_artefact_is_refused_with_the_hint_and_a_damaged_manifest_as_such(tmp_path):
    assert not artefact.is_published(tmp_path)
    with pytest.raises(InputError, match="not there; build it"):
        artefact.read_manifest(tmp_path, hint="build it")
    (tmp_path / "_MANIFEST.json").write_text("{")
    with pytest.raises(InputError, match="the manifest is not JSON; remove the folder and run again"):
        artefact.is_published(tmp_path)


def test_files_are_described_by_name_rows_and_hash(tmp_path):
    pq.write_table(pa.table({"n": [1, 2, 3]}), tmp_path / "part-00001.parquet")
    pq.write_table(pa.table({"n": [1]}), tmp_path / "part-00000.parquet")
    (tmp_path / "part-00000.7").write_text("unfinished")
    described = artefact.describe_files(tmp_path)
    assert [(file["name"], file["rows"]) for file in described] == [
        ("part-00000.parquet", 1),
        ("part-00001.parquet", 3),
    ]
    assert described[0]["sha256"] == artefact.file_hash(tmp_path / "part-00000.parquet")


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("etl.artefact", {"pyspark", "torch", "pyarrow", "pandas"}),
        ("etl.contract", {"pyspark", "torch", "pandas"}),
    ],
)
def test_what_every_package_imports_stays_light(module, heavy):
    code = f"import sys, {module}; print(*sorted(sys.modules.keys() & {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
