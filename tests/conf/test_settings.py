"""Every setting says what it means."""

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from conf.settings.model_file import Model
from conf.settings.run_file import Settings


def sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """The section of a type, and all sections that it holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from sections(field.annotation)
    for inner in get_args(annotation):
        yield from sections(inner)


def test_the_sections_are_all_visited():
    found = {section.__name__ for section in sections(Settings)}
    assert found >= {"Settings", "Lake", "Feature", "KuaiRand", "Simulated", "Events", "EventTable", "Tagging", "Daily"}


@pytest.mark.parametrize("root", [Settings, Model], ids=["run file", "model file"])
def test_every_key_has_a_meaning(root):
    """A key that can hold one value only, the tag of a union, needs none."""
    fields = [(section, name, field) for section in sections(root) for name, field in section.model_fields.items()]
    keys = {f"{s.__name__}.{name}": field.description for s, name, field in fields if not is_tag(field.annotation)}
    assert [key for key, description in keys.items() if not description] == []


def is_tag(annotation: Any) -> bool:
    return get_origin(annotation) is Literal and len(get_args(annotation)) == 1
