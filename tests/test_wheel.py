"""What `pip install .` gives somebody without a clone."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.bench.demo import copy_of_tracked_files
from tests.test_structure import PACKAGES

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy: setuptools leaves files behind, and packs old ones that it finds."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    copy_of_tracked_files(source)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(target), str(source))
    (built,) = target.glob("*.whl")
    return built


def pip(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", "--quiet", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_wheel_holds_all_files_of_the_packages_and_nothing_else(wheel):
    folders = [path for package in PACKAGES for path in (PROJECT / package).rglob("*")]
    expected = {str(path.relative_to(PROJECT)) for path in folders if path.is_file() and path.suffix != ".pyc"}
    found = set(zipfile.ZipFile(wheel).namelist())
    about = {name.split("/", 1)[1] for name in found if ".dist-info/" in name}
    assert {name for name in found if ".dist-info/" not in name} == expected
    assert about == {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt", "licenses/LICENSE"}


def test_the_wheel_names_its_licence_and_the_pythons_it_runs_on(wheel):
    with zipfile.ZipFile(wheel) as files:
        (metadata,) = (name for name in files.namelist() if name.endswith(".dist-info/METADATA"))
        lines = files.read(metadata).decode().splitlines()
    assert {"License-Expression: Apache-2.0", "Requires-Python: <3.13,>=3.11"} <= set(lines)


def test_the_wheel_brings_what_the_jobs_read_besides_modules(wheel):
    found = set(zipfile.ZipFile(wheel).namelist())
    others = {"conf/demo.toml", "conf/models/mvke.toml", "etl/spark/log4j2.properties", "dags/.airflowignore"}
    assert {*others, *(f"{package}/py.typed" for package in PACKAGES)} <= found


def test_the_command_works_in_an_otherwise_empty_environment(wheel, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    pip("--python", str(tmp_path / "venv" / "bin" / "python"), "install", "--no-deps", str(wheel))
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(tmp_path / "venv" / "bin" / "sparsetag"), "--help"], capture_output=True, text=True, cwd=tmp_path, env=own
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: sparsetag [--help | --version] JOB ...\n")
