"""What the benches rely on."""

import subprocess
import sys
from pathlib import Path

import psutil

from conf import log
from dags.job_events import parse
from dags.local.progress import Progress
from tests.bench.demo import is_end_of_task, pss
from tests.bench.turns import Turns


def test_the_end_of_a_task_is_recognised_in_the_demo_s_events(tmp_path: Path, capsys, logger_restored):
    log.configure("json")
    task = {"task_id": "build_samples", "try_number": 1, "dag_id": "daily", "dag_run_id": "x", "duration": 21.3}
    progress, states = Progress(None, [], tmp_path, as_json=True), {}
    for state in ("running", "success"):
        progress._show("2026-01-07", {**task, "state": state}, states, {})
    started, done = [parse(line) for line in capsys.readouterr().err.splitlines()]
    assert not is_end_of_task(started)
    assert is_end_of_task(done)
    assert done.fields == {"seconds": 21, "dag_run": "2026-01-07", "dag_task": "build_samples"}


def test_memory_counts_what_a_process_started():
    alone = pss(psutil.Process())
    code = "x = bytearray(200 * 2**20); print('there', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        assert pss(psutil.Process()) - alone > 190 * 2**20
        child.communicate(b"\n")


def test_turns_by_hand():
    turns = Turns({}, 1)
    turns.seconds = {"slow": [4.0, 6.0, 9.0], "fast": [2.0, 2.0, 3.0]}
    assert turns.median("slow") == 6
    assert turns.ratio("slow", "fast") == "3.00 (2.00 to 3.00)"
    assert turns.ratio("slow", "fast", 10) == "30.00 (20.00 to 30.00)"
