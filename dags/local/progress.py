"""Follows a DAG run on the terminal: day, task, and each event that the task's job logs."""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conf import log
from dags.job_events import JobEvent, parse
from dags.local.airflow_api import AirflowApi
from dags.local.processes import Service, watch

POLL_S = 1.0
FINISHED = {"success", "failed", "skipped", "upstream_failed", "removed", "up_for_retry"}
TAIL = 30  # lines of a failed task's log that are shown when its job gives no reason


class RunFailed(Exception):
    """A DAG run failed; the message says which tasks, and why."""


@dataclass
class Progress:
    """Reports what changed: as text on stdout with the seconds since the start, or as_json as events on stderr."""

    airflow: AirflowApi
    services: list[Service]
    logs: Path
    as_json: bool = False
    started: float = field(default_factory=time.monotonic)
    live: bool = field(default_factory=sys.stdout.isatty)

    def follow(self, dag_id: str, run_id: str, label: str) -> None:
        """Returns when the run has succeeded; raises RunFailed when it fails, InputError when a service ends.

        label: the run's name on the terminal, a day as a rule.
        """
        states: dict[str, str] = {}
        shown: dict[tuple[str, int], int] = {}  # task, attempt -> number of events shown
        while True:
            state = self.airflow.state(dag_id, run_id)
            tasks = self.airflow.tasks(dag_id, run_id)
            for task in tasks:
                self._show(label, task, states, shown)
            if state == "success":
                return
            if state == "failed":
                raise RunFailed(self._failure(dag_id, run_id, label, tasks))
            watch(self.services)
            self._show_running(label, [task["task_id"] for task in tasks if task["state"] == "running"])
            time.sleep(POLL_S)

    def report(self, label: str, task: str, message: str, /, **fields: object) -> None:
        """One line: `[ 123 s]  2026-01-07  build_samples   samples published  rows=30,000`."""
        if self.as_json:
            log.event(message, **{**fields, "dag_run": label, "dag_task": task})
            return
        clear = "\r\x1b[K" if self.live else ""
        print(f"{clear}{self._clock()}  {label:10}  {task:14}  {log.as_text(message, fields)}", flush=True)

    def _show(
        self, label: str, task: dict[str, Any], states: dict[str, str], shown: dict[tuple[str, int], int]
    ) -> None:
        name, state, attempt = task["task_id"], task["state"], task["try_number"]
        events = list(self._events(task))
        if state == "running" and states.get(name) != "running":
            self.report(label, name, "started")
        for event in events[shown.get((name, attempt), 0) :]:
            self.report(label, name, event.message, **event.fields)
        shown[name, attempt] = len(events)
        if state in FINISHED and states.get(name) not in (state, None):
            outcome = {"success": "done", "up_for_retry": "failed, waits for a retry"}.get(state, state)
            self.report(label, name, outcome, seconds=round(task["duration"] or 0))
        states[name] = state or ""

    def _show_running(self, label: str, tasks: list[str]) -> None:
        if self.live and tasks and not self.as_json:
            print(f"\r\x1b[K{self._clock()}  {label:10}  {', '.join(tasks)} ...", end="", flush=True)

    def _clock(self) -> str:
        return f"[{time.monotonic() - self.started:4.0f} s]"

    def _entries(self, task: dict[str, Any]) -> list[dict[str, Any]]:
        """The entries of a task's log, which Airflow writes as JSON: `event` is the line that the job printed."""
        path = self.logs.joinpath(
            f"dag_id={task['dag_id']}",
            f"run_id={task['dag_run_id']}",
            f"task_id={task['task_id']}",
            f"attempt={task['try_number']}.log",
        )
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        entries: list[dict[str, Any]] = []
        for line in lines:
            try:
                entries.append(json.loads(line))
            except json.JSONDecodeError:
                entries.append({"event": line})
        return entries

    def _events(self, task: dict[str, Any]) -> Iterator[JobEvent]:
        """What the job has logged so far, without the output of the libraries that it uses."""
        for entry in self._entries(task):
            if event := parse(str(entry.get("event", ""))):
                yield event

    def _failure(self, dag_id: str, run_id: str, label: str, tasks: list[dict[str, Any]]) -> str:
        parts = [f"{dag_id} {label} failed (run {run_id})"]
        for task in tasks:
            if task["state"] == "failed":
                errors = [event for event in self._events(task) if event.level == "error"]
                tail = [str(entry.get("event", "")) for entry in self._entries(task)][-TAIL:]
                reason = [str(errors[-1])] if errors else ["end of its log", *tail]
                parts.append(f"{task['task_id']}: " + "\n".join(reason))
        return "\n".join(parts)
