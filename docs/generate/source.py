"""Names of code in a page, and the page that shows the code."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = "source/"
_NAME = re.compile(r"`((?:conf|dags|etl|tagging|trainer|tests)/[\w./-]+\.(?:py|toml))(?:::([\w.]+))?`")
_FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Name:
    """A file of the project, and what is named in it: a function, Class, Class.method or constant; "": the file."""

    path: str
    inner: str


def names_in(markdown: str) -> Iterator[Name]:
    """The names in code spans of a page, those in fenced code left out."""
    for found in _NAME.finditer(_FENCE.sub("", markdown)):
        yield Name(found[1], found[2] or "")


def linked(markdown: str, target: Callable[[Name], str]) -> str:
    """The page with every name as a link to its target."""
    pieces, place = [], 0
    for fence in _FENCE.finditer(markdown):
        pieces += [_linked(markdown[place : fence.start()], target), fence[0]]
        place = fence.end()
    return "".join([*pieces, _linked(markdown[place:], target)])


def _linked(text: str, target: Callable[[Name], str]) -> str:
    return _NAME.sub(lambda found: f"[{found[0]}]({target(Name(found[1], found[2] or ''))})", text)


def problem(name: Name) -> str | None:
    """Why there is nothing of that name, or None."""
    if not Path(name.path).is_file():
        return f"there is no file {name.path}"
    if name.inner and name.inner not in lines_of(name.path):
        return f"{name.path} has no {name.inner}"
    return None


@cache
def lines_of(path: str) -> dict[str, int]:
    """Name -> first line, decorators included, of every function, class, method and constant of a module, in order."""
    found: dict[str, int] = {}
    if not path.endswith(".py"):
        return found
    for node in ast.parse(Path(path).read_text()).body:
        found |= _names(node)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{name}": line for inner in node.body for name, line in _names(inner).items()}
    return found


def _names(node: ast.stmt) -> dict[str, int]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name: min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])}
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return {target.id: node.lineno for target in targets if isinstance(target, ast.Name)}


def page_of(path: str) -> str:
    return f"{FOLDER}{path}.md"


def page(path: str) -> str:
    """The source, a section for every name, so that a link leads to the line."""
    lines, language = Path(path).read_text().splitlines(), Path(path).suffix[1:]
    parts = ["---", "search:", "  exclude: true", "hide: [navigation]", "---", f"# {path}"]
    starts = [("", 1), *((name, line) for name, line in lines_of(path).items())]
    for (name, first), following in zip(starts, [line for _, line in starts[1:]] + [len(lines) + 1], strict=True):
        if name:
            parts.append(f"##{'#' if '.' in name else ''} `{name}` {{ #{name} }}")
        if code := "\n".join(lines[first - 1 : following - 1]).rstrip():
            parts.append(f'````{language} linenums="{first}"\n{code}\n````')
    return "\n\n".join(["\n".join(parts[:5]), *parts[5:]]) + "\n"
