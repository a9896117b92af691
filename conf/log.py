"""What jobs report while they work: one event per line on stderr, as text or as JSON ([log] format)."""

import json
import logging
import os
import sys
import time
from collections.abc import Mapping
from typing import Any, Literal, TextIO

from conf.errors import InputError

LOGGER = logging.getLogger("sparsetag")
FORMAT_VARIABLE = "SPARSETAG_LOG__FORMAT"  # the environment's override of [log] format


def event(message: str, /, **fields: object) -> None:
    """Reports that something happened: `event("samples published", day=day, rows=rows)`."""
    LOGGER.info(message, extra={"fields": fields})


def warning(message: str, /, **fields: object) -> None:
    """Reports something that a person should look into, although the job continues."""
    LOGGER.warning(message, extra={"fields": fields})


def error(problem: InputError) -> None:
    """Reports why the job stops."""
    LOGGER.error(problem.what, extra={"fields": {"where": problem.where, "hint": problem.hint}, "text": str(problem)})


def configure(style: Literal["text", "json"] | None = None) -> None:
    """Sends events to stderr in the given style; by default in the style that the environment asks for.

    A second call replaces the style.
    """
    if style is None:
        style = "json" if os.environ.get(FORMAT_VARIABLE) == "json" else "text"
    handler = _Stderr()
    handler.setFormatter(_Json() if style == "json" else _Text())
    LOGGER.handlers = [handler]
    LOGGER.setLevel(logging.INFO)
    LOGGER.propagate = False  # libraries give the root logger handlers of their own, which would repeat every event


def as_text(message: str, fields: Mapping[str, object]) -> str:
    """samples published  day=2026-01-01 rows=30,000"""
    shown = " ".join(f"{name}={_shown(value)}" for name, value in fields.items())
    return f"{message}  {shown}" if shown else message


class _Stderr(logging.StreamHandler[TextIO]):
    """Looks up sys.stderr for every event, so that tests can capture it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # a property instead of an attribute
        return sys.stderr


class _Text(logging.Formatter):
    """12:34:56 samples published  day=2026-01-01 rows=30,000"""

    def format(self, record: logging.LogRecord) -> str:
        if record.levelno >= logging.ERROR:
            return _one_line(f"error: {record.__dict__.get('text', record.getMessage())}")
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        return _one_line(f"{clock} {level}{as_text(record.getMessage(), _fields(record))}")


class _Json(logging.Formatter):
    """{"time": "2026-01-01T12:34:56Z", "level": "info", "event": "samples published", "day": "2026-01-01", ...}"""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        entry = {"time": moment, "level": record.levelname.lower(), "event": record.getMessage(), **_fields(record)}
        return json.dumps(entry, default=str)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return dict(record.__dict__.get("fields", {}))


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return json.dumps(text) if " " in text or not text else text
