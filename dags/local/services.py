"""Airflow and MLflow on this machine, as `make ui` and `make demo` serve them. Their files are under lake/."""

import contextlib
import fcntl
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from conf.cli import run
from conf.errors import InputError
from dags.local.processes import (
    HOST,
    Service,
    end,
    end_leftovers,
    free_port,
    launch,
    signals_as_exit,
    wait_until,
    watch,
)
from dags.run_file import CONFIG, PROJECT, settings

LAKE = PROJECT / "lake"
HOME = LAKE / "airflow"
LOGS = HOME / "services"
MARKS = HOME / "services.json"  # ids and start times of what is being served
ENDING = ["scheduler", "dag-processor", "api-server", "mlflow"]  # the API server takes the scheduler's last words
USER = "admin"


@dataclass(frozen=True)
class Served:
    airflow: str
    mlflow: str
    password: str
    services: list[Service]

    def __str__(self) -> str:
        return f"Airflow  {self.airflow}   user {USER}, password {self.password}\nMLflow   {self.mlflow}/#/experiments"


@contextlib.contextmanager
def serving() -> Iterator[Served]:
    """Airflow and MLflow for as long as the block runs; raises InputError when they are being served already."""
    LOGS.mkdir(parents=True, exist_ok=True)
    services: list[Service] = []
    with (HOME / "lock").open("w") as lock, signals_as_exit():
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                "already being served", where=HOME, hint="end the other `make demo` or `make ui`"
            ) from None
        _end_leftovers()
        try:
            yield _start(services)
        finally:
            print("stopping Airflow and MLflow", flush=True)
            end(sorted(services, key=lambda service: ENDING.index(service.name)))
            MARKS.unlink(missing_ok=True)


def _start(services: list[Service]) -> Served:
    port = free_port(8080)
    environment = _environment(port)
    airflow = [sys.executable, "-m", "airflow"]

    def serve(name: str, command: list[str]) -> None:
        services.append(launch(name, command, environment, PROJECT, LOGS))
        MARKS.write_text(json.dumps([(s.process.pid, s.process.create_time()) for s in services]))

    tracking = settings().tracking.uri
    mlflow = tracking
    if not tracking.startswith("http"):
        mlflow_port = free_port(5000)
        mlflow = f"http://{HOST}:{mlflow_port}"
        serve("mlflow", _mlflow_command(tracking, mlflow_port))
    print("preparing Airflow's database", flush=True)
    _migrate([*airflow, "db", "migrate"], environment)
    print("starting Airflow and MLflow", flush=True)
    serve("api-server", [*airflow, "api-server"])
    serve("scheduler", [*airflow, "scheduler", "--skip-serve-logs"])
    serve("dag-processor", [*airflow, "dag-processor"])
    address = f"http://{HOST}:{port}"
    wait_until(lambda: _airflow_is_healthy(address), services)
    wait_until(lambda: _get(f"{mlflow}/health") is not None, services)
    passwords = json.loads((HOME / "simple_auth_manager_passwords.json.generated").read_text())
    return Served(address, mlflow, passwords[USER], services)


def _environment(port: int) -> dict[str, str]:
    """This process's environment and Airflow's settings for one small machine, without anybody else's."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return own | {
        "SPARSETAG_CONFIG": CONFIG,
        "AIRFLOW_HOME": str(HOME),
        # five processes write to it: wait for one another longer than the 5 s by default
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db?timeout=60",
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "3",  # a day's widest place: ranker, tagger and users
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{HOST}:{port}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://{HOST}:{port}",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": _secret("api_secret"),
        "AIRFLOW__API_AUTH__JWT_SECRET": _secret("jwt_secret"),
        # a task starts and ends as soon as it can: waits of up to 5 s by default, which add up
        "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def _secret(name: str) -> str:
    """A secret of this lake, made once and readable by its owner only."""
    path = HOME / name
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(32))
    return path.read_text()


def _mlflow_command(tracking: str, port: int) -> list[str]:
    # fmt: off
    return [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", tracking,
        "--artifacts-destination", str(LAKE / "mlartifacts"), "--host", HOST, "--port", str(port), "--workers", "1",
    ]
    # fmt: on


def _migrate(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True)
    if done.returncode != 0:
        raise InputError(f"Airflow's database is not usable\n{done.stderr[-2000:]}\n", where=HOME, hint="make clean")


def _get(url: str) -> bytes | None:
    """The body of a page, or None while nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bytes(answer.read())
    except (urllib.error.URLError, OSError):
        return None


def _airflow_is_healthy(address: str) -> bool:
    body = _get(f"{address}/api/v2/monitor/health")
    health: dict[str, Any] = json.loads(body) if body else {}
    parts = ("metadatabase", "scheduler", "dag_processor")
    return bool(health) and all((health.get(part) or {}).get("status") == "healthy" for part in parts)


def _end_leftovers() -> None:
    if MARKS.exists():
        print("ending the services of an earlier run that was killed", flush=True)
        end_leftovers([(pid, started) for pid, started in json.loads(MARKS.read_text())])
        MARKS.unlink()


def main() -> None:
    try:
        with serving() as served:
            print(f"{served}\nCtrl-C ends both.", flush=True)
            while True:
                watch(served.services)
                time.sleep(1)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    run(main)
