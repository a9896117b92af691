"""The few calls of Airflow's REST API that the demo makes."""

import json
import time
import urllib.error
import urllib.request
import uuid
from dataclasses import dataclass
from datetime import date
from typing import Any

from conf.errors import InputError

PATIENCE_S = 60  # how long a failing server is asked again


@dataclass(frozen=True)
class AirflowApi:
    address: str
    token: str

    @classmethod
    def log_in(cls, address: str, user: str, password: str) -> "AirflowApi":
        anonymous = cls(address, "")
        answer = anonymous.call("POST", "/auth/token", {"username": user, "password": password})
        return cls(address, answer["access_token"])

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, accept: int | None = None) -> Any:
        """The answer's JSON, or None when its status is `accept`; raises InputError on any other error.

        Server errors and missing answers are retried for PATIENCE_S seconds, so every call below must be safe to
        repeat. On SQLite, Airflow answers 503 when its scheduler writes between a request's reading and writing.
        """
        request = urllib.request.Request(
            self.address + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"},
        )
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    return json.loads(answer.read())
            except urllib.error.HTTPError as error:
                if error.code == accept:
                    return None
                problem, final = (
                    f"answered {error.code}: {error.read().decode(errors='replace')[:500]}",
                    error.code < 500,
                )
            except OSError as error:
                problem, final = f"does not answer: {error}", False
            if final or time.monotonic() > deadline:
                raise InputError(f"Airflow {problem}", where=f"{method} {path}", hint="see lake/airflow/services")
            time.sleep(1)

    def unpause(self, dag_id: str) -> None:
        """Waits until Airflow knows the DAG, and unpauses it."""
        path = f"/api/v2/dags/{dag_id}"
        deadline = time.monotonic() + 60
        while self.call("PATCH", path, {"is_paused": False}, accept=404) is None:
            if time.monotonic() > deadline:
                errors = [e["stack_trace"] for e in self.call("GET", "/api/v2/importErrors")["import_errors"]]
                reason = errors[0].strip().splitlines()[-1] if errors else "Airflow has not read it yet"
                raise InputError(f"DAG {dag_id} does not load: {reason}", where="dags/", hint="fix its file")
            time.sleep(0.5)

    def trigger(self, dag_id: str) -> str:
        """Starts a run with default params; returns its id, chosen here so that a retry starts no second run."""
        run_id = f"manual__{uuid.uuid4().hex}"
        self.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", {"logical_date": None, "dag_run_id": run_id}, accept=409)
        return run_id

    def backfill(self, dag_id: str, first: date, last: date) -> None:
        """Lets the scheduler run the days in order, one at a time, failed ones again; keeps a backfill that runs."""
        body = {
            "dag_id": dag_id,
            "from_date": f"{first}T00:00:00Z",
            "to_date": f"{last}T00:00:00Z",
            "max_active_runs": 1,
            "reprocess_behavior": "failed",
        }
        self.call("POST", "/api/v2/backfills", body, accept=409)

    def cancel_backfills(self, dag_id: str) -> None:
        for backfill in self.call("GET", f"/api/v2/backfills?dag_id={dag_id}")["backfills"]:
            if backfill["completed_at"] is None:
                self.call("PUT", f"/api/v2/backfills/{backfill['id']}/cancel", accept=409)

    def run_of(self, dag_id: str, day: date) -> str | None:
        """Id of the run whose logical date is the day, if there is one."""
        query = f"logical_date_gte={day}T00:00:00Z&logical_date_lte={day}T00:00:00Z"
        runs = self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns?{query}")["dag_runs"]
        return str(runs[0]["dag_run_id"]) if runs else None

    def state(self, dag_id: str, run_id: str) -> str:
        return str(self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The run's task instances, in the order in which they started."""
        found = self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
        return sorted(found, key=lambda task: task["start_date"] or "9")
