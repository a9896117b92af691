"""The command `sparsetag`: short, quick, and the same jobs as `python -m`."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conf.commands import JOBS

PROJECT = Path(__file__).resolve().parents[2]


def sparsetag(*arguments: str, where: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from conf.commands import main; main()", *arguments],
        capture_output=True,
        text=True,
        cwd=where,
        env={"PYTHONPATH": str(PROJECT), "PATH": "/usr/bin:/bin"},
    )


@pytest.mark.parametrize("arguments", [(), ("-h",), ("--help",)], ids=str)
def test_help_lists_each_job_with_what_it_does(arguments):
    done = sparsetag(*arguments)
    assert done.returncode == 0
    assert re.findall(r"^  (\w+) +(\S.+)$", done.stdout, re.MULTILINE) == [
        (job, what) for job, (_, what) in JOBS.items()
    ]


def test_every_module_with_a_command_line_is_a_job():
    doors = [path for name in ("etl", "trainer", "tagging", "dags/local") for path in (PROJECT / name).glob("*.py")]
    programs = {path for path in doors if "cli.run(main)" in path.read_text() or "    run(main)" in path.read_text()}
    assert {Path(importlib.util.find_spec(module).origin) for module, _ in JOBS.values()} == programs


def test_the_list_of_jobs_imports_nothing_that_has_to_be_installed():
    script = (
        "import sys, conf.commands; sys.argv[1:] = ['--help']; conf.commands.main();"
        "print([name for name in sys.modules if name.split('.')[0] in"
        " ('pydantic', 'numpy', 'torch', 'pyspark', 'airflow', 'etl', 'trainer', 'tagging', 'dags')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=PROJECT)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_version_is_that_of_the_distribution():
    assert re.fullmatch(r"sparsetag \d+\.\d+\.\d+\n", sparsetag("--version").stdout)


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("tran_day", "did you mean 'train_day'?"),
        ("build-users", "did you mean 'build_users'?"),
        ("x", "see 'sparsetag"),
    ],
)
def test_an_unknown_job_is_one_line_with_the_closest_name(typed, hint):
    done = sparsetag(typed)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (2, "")
    assert line.startswith(f"error: sparsetag has no job '{typed}'; {hint}")


def test_a_job_gets_its_own_arguments_and_name():
    done = sparsetag("generate_masks", "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("usage: sparsetag generate_masks [-h] --config CONFIG")


def test_a_job_runs_the_packaged_run_file_from_another_folder(tmp_path):
    done = sparsetag("generate_masks", "--config", "conf/demo.toml", "--model", "single", where=tmp_path)
    assert (done.returncode, done.stderr.splitlines()) == (
        2,
        ["error: --model: no masks are used by single; choose a model with [sharing] kind = 'sparse_weight'"],
    )
