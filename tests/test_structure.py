"""The shape of the project: which folder may import which, one import site for each engine, files and functions that
fit the head.

`python -m tests.test_structure` prints the arrows between folders and the levels.
"""

import ast
import re
import statistics
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

PACKAGES = ("conf", "etl", "trainer", "tagging", "dags")

# A folder, or a file at the door that folders below import: what it may import. Jobs at the door are the package.
ALLOWED = """
conf/errors.py:
conf/paths.py:
conf/settings:
trainer/seeding.py:
conf/log.py: conf/errors.py
etl/artefact.py: conf/errors.py conf/paths.py
etl/contract: conf/settings
trainer/tracking: conf/settings
conf: conf/errors.py conf/log.py conf/settings
etl/spark: conf/settings etl/contract
etl/world: conf/settings etl/contract
trainer/data: conf/errors.py conf/paths.py conf/settings etl/artefact.py etl/contract
trainer/parts: conf/settings etl/contract trainer/seeding.py
dags: conf conf/errors.py conf/log.py conf/paths.py conf/settings
etl/sources: conf/errors.py conf/settings etl/artefact.py etl/contract etl/spark etl/world
trainer/export: trainer/parts
trainer/models: conf/errors.py conf/settings etl/contract trainer/data trainer/parts trainer/seeding.py
trainer/objectives: conf/settings etl/contract trainer/data
dags/local: conf conf/errors.py conf/log.py conf/paths.py conf/settings dags etl/artefact.py
etl/samples: conf/errors.py conf/log.py conf/paths.py conf/settings etl/artefact.py etl/contract etl/sources
    etl/spark
trainer/evaluation: etl/artefact.py etl/contract trainer/data trainer/models trainer/objectives
trainer/training: conf/errors.py conf/settings etl/artefact.py trainer/data trainer/models trainer/objectives
    trainer/parts
etl: conf conf/errors.py conf/log.py conf/paths.py conf/settings etl/artefact.py etl/contract etl/samples
    etl/sources etl/spark
trainer/pruning: conf/errors.py conf/log.py conf/paths.py conf/settings etl/artefact.py trainer/data
    trainer/evaluation trainer/models trainer/objectives trainer/parts trainer/seeding.py trainer/tracking
    trainer/training
trainer/daily: conf conf/errors.py conf/log.py conf/paths.py conf/settings etl/artefact.py etl/contract trainer/data
    trainer/evaluation trainer/models trainer/objectives trainer/parts trainer/pruning trainer/seeding.py
    trainer/tracking trainer/training
tagging/scoring: conf conf/errors.py conf/log.py etl/artefact.py etl/contract trainer/daily trainer/data
    trainer/models
trainer/comparison: conf conf/errors.py conf/log.py conf/paths.py conf/settings etl/artefact.py trainer/daily
    trainer/evaluation trainer/pruning trainer/tracking
tagging/evaluation: conf/paths.py conf/settings etl/contract tagging/scoring trainer/data trainer/evaluation
    trainer/objectives
tagging/tables: conf/errors.py conf/log.py conf/paths.py conf/settings etl/artefact.py etl/contract etl/spark
    tagging/scoring
trainer: conf conf/errors.py conf/log.py conf/paths.py conf/settings etl/artefact.py trainer/comparison
    trainer/daily trainer/pruning
tagging/monitoring: conf conf/errors.py conf/log.py conf/paths.py conf/settings etl/artefact.py etl/contract
    tagging/scoring tagging/tables trainer/daily trainer/tracking
tagging: conf conf/errors.py conf/log.py conf/paths.py conf/settings etl/artefact.py etl/contract etl/spark
    tagging/evaluation tagging/monitoring tagging/scoring tagging/tables trainer/comparison trainer/daily
    trainer/data trainer/evaluation trainer/objectives
"""
MAY_IMPORT = {
    name: set(allowed.split()) for name, allowed in re.findall(r"^(\S+):((?:.*\n)(?: +.*\n)*)", ALLOWED, re.MULTILINE)
}
ENGINES = {
    "lightgbm": {"trainer/daily/trees.py"},
    "mlflow": {"trainer/tracking/mlflow_runs.py"},
    "petastorm": {"trainer/data/reader.py"},
}
LONGEST_FILE, LONGEST_FUNCTION, MEDIAN_FILE = 300, 60, 80  # lines


def files() -> list[Path]:
    found = sorted(path for package in PACKAGES for path in Path(package).rglob("*.py"))
    assert len(found) > 100
    return found


@cache
def imports(path: Path) -> frozenset[str]:
    """Absolute names that a file imports: `from a import b` gives a and a.b."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


def node(path: Path) -> str:
    """The folder of a file, or the file itself where MAY_IMPORT knows it."""
    return str(path) if str(path) in MAY_IMPORT else str(path.parent)


def arrows() -> dict[tuple[str, str], list[str]]:
    """(importing node, imported node) -> the imports between them."""
    modules = {".".join(path.with_suffix("").parts).removesuffix(".__init__"): path for path in files()}
    found: dict[tuple[str, str], list[str]] = {}
    for path in files():
        for name in imports(path):
            deeper = any(other.startswith(f"{name}.") and other in modules for other in imports(path))
            target = None if deeper else modules.get(name)  # of `from a import b`, the module b and not its package
            if target and node(target) != node(path):
                found.setdefault((node(path), node(target)), []).append(f"{path} imports {name}")
    return found


def levels(graph: dict[str, set[str]]) -> dict[str, int]:
    """Each node's level, 0 at the bottom; raises RecursionError on a circle."""

    @cache
    def level(name: str) -> int:
        return 1 + max(map(level, graph[name]), default=-1)

    return {name: level(name) for name in graph}


def test_folders_import_what_they_may_and_nothing_else():
    wrong = [site for (a, b), sites in arrows().items() if b not in MAY_IMPORT.get(a, set()) for site in sites]
    assert not wrong, "\n".join(wrong)


def test_every_arrow_that_is_allowed_is_there():
    assert {(a, b) for a, targets in MAY_IMPORT.items() for b in targets} == set(arrows())


def test_folders_form_no_circle():
    levels(MAY_IMPORT)


def test_an_import_turned_round_is_noticed():
    """A part that imports a model above it would close a circle."""
    turned = MAY_IMPORT | {"trainer/parts": MAY_IMPORT["trainer/parts"] | {"trainer/models"}}
    try:
        levels(turned)
    except RecursionError:
        return
    raise AssertionError("trainer/parts -> trainer/models -> trainer/parts was not noticed")


def test_each_engine_has_one_import_site():
    for engine, sites in ENGINES.items():
        assert {str(p) for p in files() if any(n.split(".")[0] == engine for n in imports(p))} == sites


def test_the_spark_session_is_built_in_one_place():
    assert [str(p) for p in files() if "SparkSession.builder" in p.read_text()] == ["etl/spark/session.py"]


def test_dags_import_neither_spark_nor_torch():
    heavy = {"pyspark", "torch", "petastorm", "mlflow"}
    wrong = [str(p) for p in files() if p.parts[0] == "dags" and any(n.split(".")[0] in heavy for n in imports(p))]
    assert not wrong


def test_files_and_functions_fit_the_head():
    lengths, functions = {}, {}
    for path in files():
        text = path.read_text()
        if path.name != "__init__.py":
            lengths[str(path)] = len(text.splitlines())
        for found in ast.walk(ast.parse(text)):
            if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef):
                functions[f"{path}:{found.name}"] = (found.end_lineno or 0) - found.lineno + 1
    assert {name: n for name, n in lengths.items() if n > LONGEST_FILE} == {}
    assert {name: n for name, n in functions.items() if n > LONGEST_FUNCTION} == {}
    assert statistics.median(lengths.values()) <= MEDIAN_FILE


def test_no_casts_between_our_own_types():
    calls = [
        f"{path}:{found.lineno}"
        for path in files()
        for found in ast.walk(ast.parse(path.read_text()))
        if isinstance(found, ast.Call) and isinstance(found.func, ast.Name) and found.func.id == "cast"
    ]
    assert not calls


def test_every_import_name_belongs_to_this_distribution_alone():
    owners = packages_distributions()
    assert {package: set(owners[package]) for package in PACKAGES} == {package: {"sparsetag"} for package in PACKAGES}


if __name__ == "__main__":
    graph = {a: {b for x, b in arrows() if x == a} for a in {node(path) for path in files()}}
    height = levels(graph)
    for name in sorted(graph, key=lambda name: (-height[name], name)):
        print(f"{height[name]:2}  {name:24} -> {', '.join(sorted(graph[name]))}")
    print(f"{len(arrows())} arrows between folders, {max(height.values()) + 1} levels")
