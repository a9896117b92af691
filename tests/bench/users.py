"""Time and memory of every job from raw rows to tags, profiles and audiences, for growing numbers of users.

    python -m tests.bench.users [--users 10000 100000 1000000] [--config conf/shop.toml]

Each number of users gets a simulated world in a lake of its own: samples of two days, a tagger trained on them, then
tags for all users. It takes about ten minutes, so `make bench` leaves it out. Memory is measured as in
tests/bench/demo.py.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta

import psutil

from conf import cli
from conf.load import load_settings
from tests.bench.demo import PROJECT, Memory

TAGGING = "tagging.tag_users"


def run_job(module: str, arguments: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Runs a job; returns seconds and peak GB (PSS). Raises CalledProcessError when it fails."""
    started = time.monotonic()
    command = [sys.executable, "-m", module, *arguments]
    with psutil.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL) as job:
        memory = Memory(psutil.Process(job.pid))
        memory.start()
        code = job.wait()
        memory.ended.set()
    if code:
        raise subprocess.CalledProcessError(code, command)
    return time.monotonic() - started, max(size for _, size in memory.samples) / 2**30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--config", default="conf/shop.toml", help="a run file of a simulated world")
    arguments = parser.parse_args()
    first: date = load_settings(arguments.config).training.start
    last = str(first + timedelta(days=1))
    print("| users | job | seconds | µs a user | peak memory, GB |\n|---|---|---|---|---|")
    for users in arguments.users:
        with tempfile.TemporaryDirectory(prefix="sparsetag-users-") as root:
            lake = {
                "LAKE__ROOT": f"{root}/lake",
                "TRACKING__URI": f"sqlite:///{root}/mlflow.db",
                "SOURCE__USERS": users,
            }
            environment = {**os.environ, **{f"SPARSETAG_{name}": str(value) for name, value in lake.items()}}
            for module, days in (
                ("etl.build_samples", ["--from", str(first), "--to", last]),
                ("trainer.train_day", ["--family", "tagger", "--day", last]),
                ("etl.build_users", ["--day", last]),
                (TAGGING, ["--day", last]),
            ):
                seconds, peak = run_job(module, ["--config", arguments.config, *days], environment)
                a_user = f"{1e6 * seconds / users:.0f}" if module == TAGGING else ""
                print(f"| {users:,} | {module} | {seconds:.0f} | {a_user} | {peak:.2f} |", flush=True)


if __name__ == "__main__":
    cli.run(main)
