"""The pages as the tests read them."""

import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path("docs")
PAGES = [Path("README.md"), *sorted(DOCS.rglob("*.md"))]
_FENCE = re.compile(r"^( *)```(\w*)(?: title=\"(.+?)\")?\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file that it is the content of (or ""), its text."""

    language: str
    title: str
    text: str


def blocks(page: Path) -> list[Block]:
    """Every fenced block of a page, in order."""
    return [Block(found[2], found[3] or "", found[4]) for found in _FENCE.finditer(page.read_text())]


def prose(page: Path) -> str:
    """The page without its fenced blocks."""
    return _FENCE.sub("", page.read_text())
