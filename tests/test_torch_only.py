"""Models run wherever torch does: without the engines of the pipeline around them."""

import subprocess
import sys

IMPORT_WITHOUT = """
import importlib, importlib.abc, pkgutil, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent}:
            raise ModuleNotFoundError(f"{{name}} is absent here")

sys.meta_path.insert(0, Absent())
importlib.import_module("trainer.data.batch")
for folder in ("models", "objectives", "parts", "training", "export"):
    package = importlib.import_module(f"trainer.{{folder}}")
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
        print(module.name)
"""


def test_models_objectives_optimiser_loop_and_export_import_without_the_engines():
    script = IMPORT_WITHOUT.format(absent=("petastorm", "pyspark", "airflow", "mlflow"))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    imported = set(done.stdout.split())
    assert {"trainer.training.loop", "trainer.training.optimiser", "trainer.models.build"} <= imported
    assert {"trainer.objectives.build", "trainer.parts.network", "trainer.export.subnetwork"} <= imported


def test_an_absent_engine_is_noticed():
    script = IMPORT_WITHOUT.format(absent=("torch", "petastorm"))
    assert "is absent here" in subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stderr
