"""Airflow and MLflow on this machine, as `make ui` and `make demo` serve them. Their files are in lake/."""

import argparse
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

from conf import cli, log
from conf.errors import InputError
from dags.local.processes import (
    HOST,
    Service,
    end,
    end_leftovers,
    free_port,
    last_line,
    launch,
    signals_as_exit,
    wait_until,
    watch,
)
from dags.run_file import CONFIG, DAGS, FOLDER, settings

LAKE = FOLDER / "lake"
HOME = LAKE / "airflow"
LOGS = HOME / "services"
STARTED = HOME / "services.json"  # process ids and start times of the services that run
ENDING = ["scheduler", "dag-processor", "api-server", "mlflow"]  # the scheduler still reports to the API server
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
    """Serves Airflow and MLflow while the block runs; raises InputError when another process serves them already."""
    LOGS.mkdir(parents=True, exist_ok=True)
    services: list[Service] = []
    with (HOME / "lock").open("w") as lock, signals_as_exit():
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                "Airflow and MLflow run already", where=HOME, hint="end the other `make demo` or `make ui`"
            ) from None
        _end_leftovers()
        try:
            yield _start(services)
        finally:
            log.event("stopping Airflow and MLflow")
            end(sorted(services, key=lambda service: ENDING.index(service.name)))
            STARTED.unlink(missing_ok=True)


def _start(services: list[Service]) -> Served:
    port = free_port(8080)
    environment = _environment(port)
    airflow = [sys.executable, "-m", "airflow"]

    def serve(name: str, command: list[str]) -> None:
        services.append(launch(name, command, environment, FOLDER, LOGS))
        STARTED.write_text(json.dumps([(s.process.pid, s.process.create_time()) for s in services]))

    tracking = settings().tracking.uri
    mlflow = tracking
    if not tracking.startswith("http"):
        mlflow_port = free_port(5000)
        mlflow = f"http://{HOST}:{mlflow_port}"
        serve("mlflow", _mlflow_command(tracking, mlflow_port))
    log.event("preparing Airflow's database")
    _migrate([*airflow, "db", "migrate"], environment)
    log.event("starting Airflow and MLflow")
    serve("api-server", [*airflow, "api-server"])
    serve("scheduler", [*airflow, "scheduler", "--skip-serve-logs"])
    serve("dag-processor", [*airflow, "dag-processor"])
    address = f"http://{HOST}:{port}"
    wait_until(lambda: _airflow_is_healthy(address), services)
    wait_until(lambda: _get(f"{mlflow}/health") is not None, services)
    passwords = json.loads((HOME / "simple_auth_manager_passwords.json.generated").read_text())
    return Served(address, mlflow, passwords[USER], services)


def _environment(port: int) -> dict[str, str]:
    """The environment of the services: that of this process, with our settings of Airflow instead of any others."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    return inherited | {
        "SPARSETAG_CONFIG": CONFIG,
        "AIRFLOW_HOME": str(HOME),
        # five processes write to it: let them wait for each other longer than the default of 5 s
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db?timeout=60",
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "3",  # the most tasks of a day that can run at once: ranker, tagger and users
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{HOST}:{port}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://{HOST}:{port}",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": _secret("api_secret"),
        "AIRFLOW__API_AUTH__JWT_SECRET": _secret("jwt_secret"),
        # shorter than the defaults of up to 5 s, which add up over the tasks of a day
        "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def _secret(name: str) -> str:
    """A secret of this lake, created once and readable by its owner only."""
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
    migration = LOGS / "migration.log"
    with migration.open("wb") as out:
        process = subprocess.run(command, env=environment, cwd=FOLDER, stdout=out, stderr=subprocess.STDOUT)
    if process.returncode != 0:
        raise InputError(
            f"Airflow's database is not usable: {last_line(migration)}", where=migration, hint="make clean"
        )


def _get(url: str) -> bytes | None:
    """The body of a page, or None if there is no answer."""
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
    if STARTED.exists():
        log.event("ending the services of an earlier run that was killed")
        end_leftovers([(pid, started) for pid, started in json.loads(STARTED.read_text())])
        STARTED.unlink()


def main() -> None:
    argparse.ArgumentParser(description="Serve Airflow and MLflow over existing results.").parse_args()
    log.configure(settings().log.format)
    try:
        with serving() as served:
            print(f"{served}\nCtrl-C ends both.", flush=True)
            while True:
                watch(served.services)
                time.sleep(1)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    cli.run(main)
