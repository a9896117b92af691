import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from conf.errors import InputError
from dags.local import processes

# As Airflow's scheduler does: starts a job in a session of its own, notes the job's id, and when asked to end
# waits for the job and notes how it ended.
STARTS_A_JOB = """
import pathlib, signal, subprocess, sys
signal.signal(signal.SIGTERM, lambda *_: None)
job = subprocess.Popen(["sleep", "300"], start_new_session=True)
pathlib.Path(sys.argv[1], "pid").write_text(str(job.pid))
pathlib.Path(sys.argv[1], "ended").write_text(str(job.wait()))
"""


def service_with_a_job(folder: Path) -> tuple[processes.Service, psutil.Process]:
    note = folder / "pid"
    service = processes.launch(
        "service", [sys.executable, "-c", STARTS_A_JOB, str(folder)], os.environ, cwd=folder, logs=folder
    )
    processes.wait_until(lambda: note.exists() and note.read_text() != "", [service])
    return service, psutil.Process(int(note.read_text()))


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def test_a_busy_port_is_avoided():
    with socket.socket() as busy:
        busy.bind((processes.HOST, 0))
        busy.listen()
        taken = busy.getsockname()[1]
        assert processes.free_port(taken) > taken
    assert processes.free_port(taken) == taken


def test_ending_a_service_ends_its_jobs_in_other_sessions_and_lets_it_note_that(tmp_path):
    service, job = service_with_a_job(tmp_path)
    started = time.monotonic()

    processes.end([service])

    assert is_gone(service.process) and is_gone(job)
    assert (tmp_path / "ended").read_text() == "-15"
    assert time.monotonic() - started < processes.END_S


def test_a_service_that_ends_shows_the_end_of_its_log(tmp_path):
    service = processes.launch("broken", ["ls", "/nowhere"], os.environ, cwd=tmp_path, logs=tmp_path)
    with pytest.raises(InputError, match=r"(?s)broken ended.*/nowhere.*No such file"):
        processes.wait_until(lambda: False, [service])


def test_what_a_killed_predecessor_left_is_ended_and_nobody_elses_process(tmp_path):
    service, job = service_with_a_job(tmp_path)
    bystander = subprocess.Popen(["sleep", "300"])
    another_start = psutil.Process(bystander.pid).create_time() - 1
    try:
        processes.end_leftovers([(service.process.pid, service.process.create_time()), (bystander.pid, another_start)])
        assert is_gone(service.process) and is_gone(job)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
