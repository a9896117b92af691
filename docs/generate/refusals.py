"""The page of all refusals, read from the places that raise them."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PACKAGES = {"conf": "Run files, model files and command lines", "etl": "Samples and users", "trainer": "Training"}
PACKAGES |= {"tagging": "Tags", "dags": "DAGs and the demo"}
Texts = Mapping[str, ast.expr]


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
        lines += [
            f"| {_cell(r.what)} | {_cell(r.hint) or 'see the message'} | `{r.path}::{r.function}` |" for r in of_package
        ]
        parts += [f"## {title}", "\n".join(lines)]
    lines = ["| what is wrong | checked by |", "|---|---|"]
    lines += [f"| {_cell(r.what)} | `{r.path}::{r.function}` |" for r in settings_that_do_not_fit()]
    parts += ["## Settings that do not fit together", "\n".join(lines)]
    return "\n\n".join(parts)


def refusals() -> Iterator[Refusal]:
    """Every InputError that is raised with a message of its own."""
    for package in PACKAGES:
        for path in sorted(Path(package).rglob("*.py")):
            for function, call, named in _calls(path, "InputError"):
                hints = [keyword.value for keyword in call.keywords if keyword.arg == "hint"]
                what, hint = (
                    (_text(node, named) for node in (call.args[0], hints[0])) if call.args and hints else ("", "")
                )
                if what.strip("… "):
                    yield Refusal(str(path), function, what, hint.strip("…"))


def settings_that_do_not_fit() -> Iterator[Refusal]:
    """What the validators of settings say; the refusal names file and key."""
    for path in sorted(Path("conf/settings").glob("*.py")):
        for function, call, named in _calls(path, "ValueError"):
            yield Refusal(str(path), function, _text(call.args[0], named), "")


def _calls(path: Path, name: str) -> Iterator[tuple[str, ast.Call, Texts]]:
    """(Class.method or function, call, the texts that its variables stand for) for every call of a name in a module."""
    module = ast.parse(path.read_text())
    for top in module.body:
        for inner in top.body if isinstance(top, ast.ClassDef) else [top]:
            names = [getattr(node, "name", "") for node in dict.fromkeys((top, inner))]
            named = _assigned(module.body) | _assigned(ast.walk(inner))
            for node in ast.walk(inner):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
                    yield ".".join(filter(None, names)), node, named


def _assigned(nodes: Iterable[ast.AST]) -> dict[str, ast.expr]:
    return {
        node.targets[0].id: node.value
        for node in nodes
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def _text(node: ast.expr, named: Texts) -> str:
    """The text of a string, with … for what is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(value, named) if isinstance(value, ast.Constant) else "…" for value in node.values)
    if isinstance(node, ast.BinOp):
        return _text(node.left, named) + _text(node.right, named)
    if isinstance(node, ast.IfExp):
        return f"{_text(node.body, named)} / {_text(node.orelse, named)}"
    if isinstance(node, ast.Name) and node.id in named:
        return _text(named[node.id], {})
    return "…"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ").replace("*", "\\*")
