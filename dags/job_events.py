"""The events that jobs log as JSON, read back from their output."""

import json
from dataclasses import dataclass, field
from typing import Any

from conf.errors import InputError
from conf.log import as_text


@dataclass(frozen=True)
class JobEvent:
    """One line of a job's log: conf.log writes them."""

    level: str
    message: str
    fields: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        if {"where", "hint"} <= self.fields.keys():
            return str(InputError(self.message, where=self.fields["where"], hint=self.fields["hint"]))
        return as_text(self.message, self.fields)


def parse(line: str) -> JobEvent | None:
    """The event in a line of output, or None for anything else that a job's libraries print."""
    try:
        entry = json.loads(line)
    except json.JSONDecodeError:
        return None
    if not isinstance(entry, dict) or not {"time", "level", "event"} <= entry.keys():
        return None
    fields = {name: value for name, value in entry.items() if name not in ("time", "level", "event")}
    return JobEvent(entry["level"], entry["event"], fields)
