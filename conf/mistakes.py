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
    key, beside = _resolve(first, root)
    if first["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(first["loc"][-1]), beside, n=1)
        return InputError(
            f"unknown key '{key}'", where=path, hint=f"did you mean '{close[0]}'?" if close else "remove it"
        )
    if first["type"] == "union_tag_not_found":
        tag = first["ctx"]["discriminator"].strip("'")
        return InputError(f"key '{'.'.join([*filter(None, [key]), tag])}' is missing", where=path, hint="add it")
    if first["type"] == "missing":
        return InputError(f"key '{key}' is missing", where=path, hint=_meaning(beside.get(str(first["loc"][-1]))))
    what = f"key '{key}': {_message(first)}" if key else _message(first)
    return InputError(what, where=path, hint="fix it in the file or its override")


def _resolve(found: ErrorDetails, root: Any) -> tuple[str, dict[str, str | None]]:
    """The key as the file writes it, and the keys that fit in its place with their meaning.

    pydantic's location of a mistake also holds the tag of each union on the way, which is no key of the file.
    """
    keys: list[str] = []
    sections, fields = list(_sections(root)), {}
    for n, part in enumerate(found["loc"]):
        is_unknown = found["type"] == "extra_forbidden" and n == len(found["loc"]) - 1
        inside = {name: field for section in sections for name, field in section.model_fields.items()}
        tagged = [section for section in sections if _has_tag(section, part)]
        if tagged and part not in inside and not is_unknown:
            sections = tagged
            continue
        if part in inside or is_unknown:
            fields = inside
        if part in inside:  # otherwise an index of a list or a key of a dict, of the same sections
            sections = list(_sections(inside[str(part)].annotation))
        keys.append(str(part))
    return ".".join(keys), {name: field.description for name, field in fields.items()}


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """All sections that a type mentions, in unions, lists and optionals too."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _sections(inner)


def _has_tag(section: type[BaseModel], tag: int | str) -> bool:
    return any(tag in get_args(field.annotation) for field in section.model_fields.values())


def _meaning(description: str | None) -> str:
    return f"add it: {description}" if description else "add it"


def _message(found: ErrorDetails) -> str:
    message = found["msg"].removeprefix("Value error, ")
    return message if isinstance(found["input"], dict | BaseModel) else f"{message} (got {found['input']!r})"
