"""The page of all refusals, read from the places that raise them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGES = {"conf": "Run files, model files and command lines", "etl": "Samples and users", "trainer": "Training"}
PACKAGES |= {"tagging": "Tags", "dags": "DAGs and the demo"}


@dataclass(frozen=True)
class Refusal:
    """One place that raises InputError; `…` where the message names something."""

    path: str
    function: str
    what: str
    hint: str


def page() -> str:
    found = list(refusals())
    parts = []
    for package, title in PACKAGES.items():
        of_package = [refusal for refusal in found if refusal.path.startswith(f"{package}/")]
        lines = ["| what is wrong | what to do | raised by |", "|---|---|---|"]
        lines += [f"| {_cell(r.what)} | {_cell(r.hint)} | `{r.path}::{r.function}` |" for r in of_package]
        parts += [f"## {title}", "\n".join(lines)]
    lines = ["| what is wrong | checked by |", "|---|---|"]
    lines += [f"| {_cell(r.what)} | `{r.path}::{r.function}` |" for r in settings_that_do_not_fit()]
    parts += ["## Settings that do not fit together", "\n".join(lines)]
    return "\n\n".join(parts)


def refusals() -> Iterator[Refusal]:
    """Every InputError that is raised with a message of its own."""
    for package in PACKAGES:
        for path in sorted(Path(package).rglob("*.py")):
            for function, call in _calls(path, "InputError"):
                hints = [keyword.value for keyword in call.keywords if keyword.arg == "hint"]
                what, hint = (_text(node) for node in (call.args[0], hints[0])) if call.args and hints else ("", "")
                if what.strip("… "):
                    yield Refusal(str(path), function, what, "" if hint == "…" else hint)


def settings_that_do_not_fit() -> Iterator[Refusal]:
    """What the validators of settings say; the refusal names file and key."""
    for path in sorted(Path("conf/settings").glob("*.py")):
        for function, call in _calls(path, "ValueError"):
            yield Refusal(str(path), function, _text(call.args[0]), "")


def _calls(path: Path, name: str) -> Iterator[tuple[str, ast.Call]]:
    """(Class.method or function, call) for every call of a name in a module."""
    for top in ast.parse(path.read_text()).body:
        inners = top.body if isinstance(top, ast.ClassDef) else [top]
        for inner in inners:
            function = f"{top.name}.{inner.name}" if isinstance(top, ast.ClassDef) and hasattr(inner, "name") else ""
            for node in ast.walk(inner):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
                    yield function or getattr(top, "name", ""), node


def _text(node: ast.expr) -> str:
    """The text of a string, with … for what is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(value) if isinstance(value, ast.Constant) else "…" for value in node.values)
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    if isinstance(node, ast.IfExp):
        return f"{_text(node.body)} / {_text(node.orelse)}"
    return "…"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ").replace("*", "\\*")
