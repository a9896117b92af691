"""The pages of the site: those of docs/, those made from the code, and the source that they name.

python -m docs.generate build/docs
"""

import posixpath
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from docs.generate import commands, refusals, settings, source, tables

DOCS = Path("docs")
# what stands in a page as <!-- generate: NAME -->
PARTS: dict[str, Callable[[], str]] = {
    "settings of a run file": settings.run_file,
    "settings of a model file": settings.model_file,
    "raw tables": tables.raw,
    "published tables": tables.results,
    "command lines": commands.page,
    "refusals": refusals.page,
}


def main(target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(DOCS, target, ignore=shutil.ignore_patterns("generate", "__pycache__"))
    for uri, content in pages().items():
        place = target / uri
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(content)


def pages() -> dict[str, str]:
    """Every page of the site: where it lies, and its Markdown with links to the code that it names."""
    written = {str(path.relative_to(DOCS)): _filled(path.read_text()) for path in sorted(DOCS.rglob("*.md"))}
    named = {name.path for text in written.values() for name in source.names_in(text)}
    sources = {source.page_of(path): source.page(path) for path in sorted(named) if Path(path).is_file()}
    return {uri: _with_links(uri, text) for uri, text in written.items()} | sources


def _filled(text: str) -> str:
    return re.sub(r"<!-- generate: (.*) -->", lambda found: PARTS[found[1]](), text)


def _with_links(uri: str, text: str) -> str:
    def target(name: source.Name) -> str:
        place = posixpath.relpath(source.page_of(name.path), posixpath.dirname(uri) or ".")
        return f"{place}#{name.inner}" if name.inner else place

    return source.linked(text, target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
