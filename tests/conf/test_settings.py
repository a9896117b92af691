"""Every setting says what it means."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

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


def test_every_key_has_a_meaning():
    keys = {f"{s.__name__}.{name}": f.description for s in sections(Settings) for name, f in s.model_fields.items()}
    assert [key for key, description in keys.items() if not description] == []
