"""Numbers frozen in tests/golden: a change that is not about numbers must not move them.

A change that is about numbers rewrites them: python -m tests.trainer.test_golden
"""

import json
import tempfile
from pathlib import Path

import pytest

from conf.load import load_model
from etl.artefact import read_manifest
from tests.lakes.samples import publish_days
from tests.lakes.settings import make_settings
from trainer.daily.open import open_run
from trainer.daily.train import train
from trainer.pruning import store as mask_store
from trainer.pruning.generation import generate

GOLDEN = Path(__file__).parents[1] / "golden" / "losses.json"


def losses(root: Path) -> dict[str, dict[str, float]]:
    """Metrics of the mask rounds, and training losses and next-day metrics of two days, for rankers and the tagger."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        settings = make_settings(root, patch)
        days = publish_days(settings, 3, rows=600)[:2]  # the third is the day that mask rounds are compared on
        masked = load_model("sparse_weight")
        generate(settings, masked, "sparse_weight")
        rounds = read_manifest(mask_store.folder(settings, masked), hint="")["history"]
        found["masks"] = {
            f"{task} round {r['round']}": r["metric"] for task, of_task in rounds.items() for r in of_task
        }
        for family, model in (
            ("ranker", "hard"),
            ("ranker", "single"),
            ("ranker", "sparse_weight"),
            ("tagger", "mvke"),
        ):
            run = open_run(settings, family, model)
            for day in days:
                train(run, day)
            manifest = read_manifest(run.paths.model(family, run.name, days[1]), hint="")
            auc = {f"{task}_auc": of_task["auc"] for task, of_task in manifest["metrics"].items()}
            found[model] = manifest["losses"] | auc
    return found


def test_losses_and_metrics_are_the_frozen_ones(tmp_path):
    golden = json.loads(GOLDEN.read_text())
    found = losses(tmp_path)
    assert set(found) == set(golden)
    for model, values in golden.items():
        # processors differ in the last digits of a float32, which a day of training blows up a little
        assert found[model] == pytest.approx(values, rel=1e-3), model


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        GOLDEN.write_text(json.dumps(losses(Path(folder)), indent=1) + "\n")
