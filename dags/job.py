"""The one operator: runs a job module with the environment's own python, without a shell."""

import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from dags.run_file import PROJECT

REFUSED = 2  # exit code of conf.cli.run and of argparse: the input is wrong, so trying again is of no use

# JSON schema of a day typed at a trigger. The pattern is for forms that do not check formats; the jobs check it again.
DAY = {"format": "date", "pattern": r"^\d{4}-\d{2}-\d{2}$"}


class JobOperator(BaseOperator):  # type: ignore[misc]  # Airflow's own types are not read
    """Runs `python -m module arguments...` in the project folder; what it prints goes to the task's log.

    The arguments are templates, each of which becomes exactly one argument of the job: whatever somebody
    types at a trigger stays one word and meets no shell. The job's last line is the task's result.
    lists: flag -> the param that holds a list; its values follow the flag, an argument each.
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
        for flag, value in pairwise(self.arguments):
            if not value:
                raise AirflowFailException(f"{flag} has no value: give the run a logical date or the param 'day'")
        listed = [word for flag, param in self.lists.items() for word in (flag, *map(str, context["params"][param]))]
        command = [sys.executable, "-m", self.module, *self.arguments, *listed]
        done = self._hook.run_command(command, cwd=str(PROJECT))
        if done.exit_code == REFUSED:
            raise AirflowFailException(done.output)
        if done.exit_code != 0:
            raise AirflowException(f"{self.module} ended with exit code {done.exit_code}: {done.output}")
        return str(done.output)

    def on_kill(self) -> None:
        self._hook.send_sigterm()
