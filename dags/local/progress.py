"""Follows a DAG run on the terminal: which day, which step, what the job says, how long it took."""

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dags.local.airflow_api import AirflowApi
from dags.local.processes import Service, watch

POLL_S = 1.0
FINISHED = {"success", "failed", "skipped", "upstream_failed", "removed"}
HOOK = "SubprocessHook"  # writes the lines of a job into its task's log


class RunFailed(Exception):
    """A DAG run failed; says which task, and the end of its log."""


@dataclass
class Progress:
    """Prints changes only, each with the seconds since the start; on a terminal also what is running now."""

    airflow: AirflowApi
    services: list[Service]
    logs: Path
    started: float = field(default_factory=time.monotonic)
    live: bool = field(default_factory=sys.stdout.isatty)

    def follow(self, dag_id: str, run_id: str, label: str) -> None:
        """Returns when the run has succeeded; raises RunFailed when it fails, InputError when a service ends."""
        states: dict[str, str] = {}
        lines: dict[tuple[str, int], int] = {}
        while True:
            state = self.airflow.state(dag_id, run_id)
            tasks = self.airflow.tasks(dag_id, run_id)
            for task in tasks:
                self._show(label, task, states, lines)
            if state == "success":
                return
            if state == "failed":
                raise RunFailed(self._failure(dag_id, run_id, label, tasks))
            watch(self.services)
            self._live(label, [task for task in tasks if task["state"] == "running"])
            time.sleep(POLL_S)

    def _show(
        self, label: str, task: dict[str, Any], states: dict[str, str], lines: dict[tuple[str, int], int]
    ) -> None:
        name, state, attempt = task["task_id"], task["state"], task["try_number"]
        said = self._job_lines(task)
        shown = lines.get((name, attempt), 0)
        if state == "running" and states.get(name) != "running":
            self.say(f"{label:10}  {name:14}  started")
        for line in said[shown:]:
            self.say(f"{label:10}  {name:14}  {line}")
        lines[name, attempt] = len(said)
        if state in FINISHED | {"up_for_retry"} and states.get(name) not in (state, None):
            outcome = {"success": "done", "up_for_retry": "failed, will be tried again"}.get(state, state)
            self.say(f"{label:10}  {name:14}  {outcome} in {task['duration'] or 0:.0f} s")
        states[name] = state or ""

    def say(self, line: str) -> None:
        clear = "\r\x1b[K" if self.live else ""
        print(f"{clear}[{time.monotonic() - self.started:4.0f} s]  {line}", flush=True)

    def _live(self, label: str, running: list[dict[str, Any]]) -> None:
        if self.live and running:
            now = ", ".join(str(task["task_id"]) for task in running)
            print(f"\r\x1b[K[{time.monotonic() - self.started:4.0f} s]  {label:10}  {now} ...", end="", flush=True)

    def _entries(self, task: dict[str, Any]) -> list[dict[str, Any]]:
        path = self.logs.joinpath(
            f"dag_id={task['dag_id']}",
            f"run_id={task['dag_run_id']}",
            f"task_id={task['task_id']}",
            f"attempt={task['try_number']}.log",
        )
        if not path.exists():
            return []
        entries = []
        for line in path.read_text(errors="replace").splitlines():
            try:
                entries.append(json.loads(line))
            except json.JSONDecodeError:
                entries.append({"event": line})
        return entries

    def _job_lines(self, task: dict[str, Any]) -> list[str]:
        """What the job itself printed so far, without the noise of the libraries it uses."""
        events = [str(e["event"]) for e in self._entries(task) if str(e.get("logger", "")).endswith(HOOK)]
        if "Output:" not in events:
            return []
        said = events[events.index("Output:") + 1 :]
        return [line for line in said if line[:1].islower()]  # as our jobs write, and neither Java nor Python

    def _failure(self, dag_id: str, run_id: str, label: str, tasks: list[dict[str, Any]]) -> str:
        failed = [task for task in tasks if task["state"] == "failed"]
        parts = [f"{dag_id} {label} failed (run {run_id})"]
        for task in failed:
            tail = [str(entry.get("event", "")) for entry in self._entries(task)][-30:]
            parts.append("\n".join([f"--- end of the log of {task['task_id']}", *tail]))
        return "\n".join(parts)
