"""The one operator: it runs a job's module with the environment's own Python, without a shell."""

import os
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any

from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from conf.log import FORMAT_VARIABLE
from conf.settings.run_file import Settings
from dags.job_events import parse
from dags.run_file import FOLDER

REFUSED = 2  # exit code of conf.cli.run and of argparse: the input is wrong, so a retry cannot help

# JSON schema of a day typed at a trigger. The pattern serves forms that do not check formats; the jobs check again.
DAY = {"format": "date", "pattern": r"^\d{4}-\d{2}-\d{2}$"}


def default_args(run: Settings) -> dict[str, Any]:
    """What all tasks of all DAGs have in common."""
    return {"owner": "sparsetag", "retries": run.daily.retries, "retry_delay": timedelta(seconds=30)}


class JobOperator(BaseOperator):  # type: ignore[misc]  # Airflow's types are not read
    """Runs `python -m module arguments...`; the job logs its events as JSON into the task's log.

    Each argument is a template that becomes exactly one argument of the job: whatever somebody types at a trigger
    stays one word and meets no shell. The task returns the last line of the job.

    lists: flag -> the param that holds a list. Its values follow the flag, one argument each.
    """

    template_fields: Sequence[str] = ("arguments",)

    def __init__(
        self, *, module: str, arguments: Sequence[str], lists: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.module = module
        self.arguments = list(arguments)
        self.lists = dict(lists or {})
        self._hook = SubprocessHook()

    def execute(self, context: Any) -> str:
        """Raises AirflowFailException, which is not retried, when the job refuses its input."""
        for flag, value in pairwise(self.arguments):
            if not value:
                raise AirflowFailException(f"{flag} has no value: give the run a logical date or the param 'day'")
        listed = [word for flag, param in self.lists.items() for word in (flag, *map(str, context["params"][param]))]
        command = [sys.executable, "-m", self.module, *self.arguments, *listed]
        result = self._hook.run_command(command, env={**os.environ, FORMAT_VARIABLE: "json"}, cwd=str(FOLDER))
        last_line = str(result.output)
        if result.exit_code == REFUSED:
            raise AirflowFailException(str(parse(last_line) or last_line))
        if result.exit_code != 0:
            raise AirflowException(f"{self.module} ended with exit code {result.exit_code}: {last_line}")
        return last_line

    def on_kill(self) -> None:
        self._hook.send_sigterm()
