"""How long `make demo` takes in a fresh lake, task by task, and how much memory all its processes need together.

    python -m tests.bench.demo

It takes minutes and is not part of `make bench`. It runs on a copy of the tracked files and leaves your lake alone.
Memory is the sum of the PSS (psutil: pages shared by several processes are split between them) of the demo and all
processes that it started, every 2 s.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from conf import cli
from conf.log import FORMAT_VARIABLE
from dags.job_events import JobEvent, parse
from dags.local.processes import signals_as_exit

PROJECT = Path(__file__).parents[2]
EVERY_S = 2.0


def copy_of_tracked_files(target: Path) -> None:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (PROJECT / name).is_file():  # not deleted since
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, target / name)


def is_end_of_task(event: JobEvent) -> bool:
    """Whether dags.local.progress reports with this event that a task has succeeded."""
    return event.message == "done" and {"dag_run", "dag_task", "seconds"} <= event.fields.keys()


def pss(root: psutil.Process) -> int:
    """PSS in bytes of a process and all processes that it started."""
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                total += process.memory_full_info().pss
    return total


class Memory(threading.Thread):
    """Samples memory until `ended` is set. samples: (seconds since the start, bytes)."""

    def __init__(self, root: psutil.Process) -> None:
        super().__init__(daemon=True)
        self.root, self.ended, self.samples = root, threading.Event(), [(0.0, 0)]

    def run(self) -> None:
        started = time.monotonic()
        while not self.ended.wait(EVERY_S):
            self.samples.append((time.monotonic() - started, pss(self.root)))


def main() -> None:
    with signals_as_exit(), tempfile.TemporaryDirectory(prefix="sparsetag-demo-") as folder:
        copy_of_tracked_files(Path(folder))
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SPARSETAG_")}
        started = time.monotonic()
        demo = psutil.Popen(
            [sys.executable, "-u", "-m", "dags.local.demo"],
            cwd=folder,
            env={**inherited, "CI": "1", "PYTHONPATH": folder, FORMAT_VARIABLE: "json"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        memory = Memory(psutil.Process(demo.pid))
        memory.start()
        finished: list[JobEvent] = []
        try:
            for line in demo.stdout:
                print(line, end="", flush=True)
                if (event := parse(line)) and is_end_of_task(event):
                    finished.append(event)
        finally:
            memory.ended.set()
            if demo.poll() is None:
                demo.terminate()  # it ends its services itself
            code = demo.wait()
        seconds = time.monotonic() - started
    print("\n| run | task | seconds |\n|---|---|---|")
    for event in finished:
        print("| {dag_run} | {dag_task} | {seconds} |".format_map(event.fields))
    when, most = max(memory.samples, key=lambda sample: sample[1])
    print(f"\ntotal {seconds:.0f} s, exit code {code}; peak memory {most / 2**30:.2f} GB (PSS), after {when:.0f} s")
    sys.exit(code)


if __name__ == "__main__":
    cli.run(main)
