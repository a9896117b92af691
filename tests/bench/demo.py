"""How long `make demo` takes in a fresh lake, step by step, and the memory of everything together.

    python -m tests.bench.demo

Some minutes, so it is no part of `make bench`. It runs on a copy of the tracked files: your lake is left alone. Memory
is the sum of PSS (psutil: pages shared by several processes are split between them) of the demo and all that
it started, every 2 s.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from conf import cli
from dags.local.processes import signals_as_exit

PROJECT = Path(__file__).parents[2]
EVERY_S = 2.0
# [ 123 s]  2026-01-07  build_samples   done in 21 s
DONE = re.compile(r"\[ *\d+ s\]  (?P<run>\S+) +(?P<step>\S+) +done in (?P<seconds>\d+) s")


def copy_of_tracked_files(target: Path) -> None:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (PROJECT / name).is_file():  # not deleted since
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, target / name)


def pss(root: psutil.Process) -> int:
    """Bytes of a process and all that it started."""
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                total += process.memory_full_info().pss
    return total


class Memory(threading.Thread):
    """Samples until told to end. samples: (seconds since the start, bytes)."""

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
        own = {name: value for name, value in os.environ.items() if not name.startswith("SPARSETAG_")}
        started = time.monotonic()
        demo = psutil.Popen(
            [sys.executable, "-u", "-m", "dags.local.demo"],
            cwd=folder,
            env={**own, "CI": "1", "PYTHONPATH": folder},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        memory = Memory(psutil.Process(demo.pid))
        memory.start()
        steps = []
        try:
            for line in demo.stdout:
                print(line, end="", flush=True)
                if found := DONE.match(line):
                    steps.append(found)
        finally:
            memory.ended.set()
            if demo.poll() is None:
                demo.terminate()  # it ends its services itself
            code = demo.wait()
        seconds = time.monotonic() - started
    print("\n| run | step | seconds |\n|---|---|---|")
    for step in steps:
        print(f"| {step['run']} | {step['step']} | {step['seconds']} |")
    when, most = max(memory.samples, key=lambda sample: sample[1])
    print(f"\ntotal {seconds:.0f} s, exit code {code}; peak memory {most / 2**30:.2f} GB (PSS), after {when:.0f} s")
    sys.exit(code)


if __name__ == "__main__":
    cli.run(main)
