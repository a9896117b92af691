"""What pydantic finds wrong in a file, as one InputError in the words of that file."""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from conf.errors import InputError


def input_error(path: Path, error: ValidationError, root: Any) -> InputError:
    """The most telling mistake of the file. root: the section, or union of sections, that the file as a whole is."""
    # a misspelt key is reported as unknown and as missing: prefer the unknown one, it has the name to correct
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    key, beside = _resolve(root, first["loc"])
    if first["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(first["loc"][-1]), beside, n=1)
        return InputError(
            f"unknown key '{key}'", where=path, hint=f"did you mean '{close[0]}'?" if close else "remove it"
        )
    if first["type"] == "missing":
        return InputError(f"key '{key}' is missing", where=path, hint=_meaning(beside.get(str(first["loc"][-1]))))
    return InputError(f"key '{key}': {_message(first)}", where=path, hint="fix this key in the file or its override")


def _resolve(root: Any, location: tuple[int | str, ...]) -> tuple[str, dict[str, str | None]]:
    """The key as the file writes it, without the tags of unions; and the keys that fit there, with their meaning."""
    sections, written = list(_sections(root)), []
    fields: dict[str, Any] = {}
    for n, part in enumerate(location):
        found = {name: field for section in sections for name, field in section.model_fields.items()}
        if part in found:
            fields, sections = found, list(_sections(found[str(part)].annotation))
        elif sections and isinstance(part, str) and n < len(location) - 1:
            sections = [section for section in sections if _is_tagged(section, part)]
            continue  # the tag of a union is no key of the file
        elif isinstance(part, str):
            fields, sections = found, []
        written.append(str(part))
    return ".".join(written) or "the whole file", {name: field.description for name, field in fields.items()}


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """All sections that a type mentions, in unions, lists and optionals too."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _sections(inner)


def _is_tagged(section: type[BaseModel], tag: str) -> bool:
    return any(tag in get_args(field.annotation) for field in section.model_fields.values())


def _meaning(description: str | None) -> str:
    return f"add it: {description}" if description else "add it"


def _message(found: ErrorDetails) -> str:
    message = found["msg"].removeprefix("Value error, ")
    return message if isinstance(found["input"], dict | BaseModel) else f"{message} (got {found['input']!r})"
