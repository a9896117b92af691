"""What jobs say while they work: one event a line, on stderr, as text or as JSON ([log] format)."""

import json
import logging
import sys
import time
from typing import Any, Literal, TextIO

LOGGER = logging.getLogger("sparsetag")


def event(message: str, **fields: object) -> None:
    """Something happened: `event("samples published", day=day, rows=rows)`."""
    LOGGER.info(message, extra={"fields": fields})


def warning(message: str, **fields: object) -> None:
    """Something that a person should look into, though the job goes on."""
    LOGGER.warning(message, extra={"fields": fields})


def configure(style: Literal["text", "json"] = "text") -> None:
    """Sends events to stderr; calling it again replaces the style."""
    handler = _Stderr()
    handler.setFormatter(_Json() if style == "json" else _Text())
    LOGGER.handlers = [handler]
    LOGGER.setLevel(logging.INFO)


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to whatever sys.stderr is at the moment, so that captured output is captured."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]  # a property instead of an attribute
        return sys.stderr


class _Text(logging.Formatter):
    """12:34:56 samples published  day=2026-01-01 rows=30,000"""

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        fields = " ".join(f"{name}={_shown(value)}" for name, value in _fields(record).items())
        return f"{clock} {level}{record.getMessage()}" + (f"  {fields}" if fields else "")


class _Json(logging.Formatter):
    """{"time": "2026-01-01T12:34:56Z", "level": "info", "event": "samples published", "day": "2026-01-01", ...}"""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        entry = {"time": moment, "level": record.levelname.lower(), "event": record.getMessage(), **_fields(record)}
        return json.dumps(entry, default=str)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return dict(getattr(record, "fields", {}))


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return json.dumps(text) if " " in text else text
