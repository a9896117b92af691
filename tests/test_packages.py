"""The shape of the project: who owns which import name, who imports whom, and one import site for each engine."""

import ast
from importlib.metadata import packages_distributions
from pathlib import Path

PACKAGES = ("conf", "etl", "trainer", "tagging", "dags")
# what a package may import of the others; trainer and tagging know the tables, the files and nothing else of etl
ALLOWED = {
    "conf": {"conf"},
    "etl": {"etl", "conf"},
    "trainer": {"trainer", "conf", "etl.contract", "etl.artefact"},
    "tagging": {"tagging", "trainer", "conf", "etl.contract", "etl.artefact", "etl.spark"},
    "dags": {"dags", "conf", "etl.artefact"},
}
ONE_SITE = {
    "lightgbm": {"trainer/daily/trees.py"},
    "mlflow": {"trainer/tracking/mlflow_runs.py"},
    "petastorm": {"trainer/data/reader.py"},
}


def imports(path: Path) -> set[str]:
    """Absolute module names that a file imports, names included: `from a import b` gives a and a.b."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def files(package: str) -> list[Path]:
    found = sorted(Path(package).rglob("*.py"))
    assert found
    return found


def test_every_import_name_belongs_to_this_distribution_alone():
    owners = packages_distributions()
    assert {package: set(owners[package]) for package in PACKAGES} == {package: {"sparsetag"} for package in PACKAGES}


def test_imports_point_one_way():
    wrong = []
    for package in PACKAGES:
        for path in files(package):
            for name in imports(path):
                allowed = any(name == module or name.startswith(module + ".") for module in ALLOWED[package])
                parent = name == "etl"  # of an allowed module
                if name.split(".")[0] in PACKAGES and not allowed and not parent:
                    wrong.append(f"{path} imports {name}")
    assert not wrong


def test_each_engine_has_one_import_site():
    for engine, sites in ONE_SITE.items():
        found = {
            str(p) for package in PACKAGES for p in files(package) if any(n.split(".")[0] == engine for n in imports(p))
        }
        assert found == sites


def test_the_spark_session_is_built_in_one_place():
    builders = {str(p) for package in PACKAGES for p in files(package) if "SparkSession.builder" in p.read_text()}
    assert builders == {"etl/spark/session.py"}
