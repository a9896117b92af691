"""[[features]] in another order than yesterday's: models keep the order of the first day, and nothing else moves."""

import hashlib
import tomllib
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import pytest
import torch

from conf.errors import InputError
from conf.load import load_model
from conf.paths import Paths
from conf.settings.model_file import needs_masks
from conf.settings.run_file import Settings
from etl.artefact import read_manifest
from tests.lakes.samples import publish_days
from tests.lakes.settings import DEMO, START, make_settings
from trainer.daily.open import open_run
from trainer.daily.train import train
from trainer.evaluation.predictions import read_predictions
from trainer.pruning.generation import generate
from trainer.training import checkpoint

Family = Literal["ranker", "tagger"]
MODELS: list[tuple[Family, str]] = [
    ("ranker", "hard"),
    ("ranker", "single"),
    ("ranker", "sparse_weight"),
    ("ranker", "s_weight_multiview_mean"),
    ("ranker", "esm2_tanh"),
    ("ranker", "gbdt"),
    ("ranker", "star"),
    ("ranker", "adaptdhm_user"),
    ("tagger", "mvke"),
    ("tagger", "two_tower_sparse"),
]
DAYS = [START + timedelta(days=n) for n in range(3)]


def lake(root: Path) -> Settings:
    """Samples of three days, with two numeric features."""
    features = tomllib.loads(DEMO.read_text())["features"]
    hour = {"name": "hour", "table": "impressions", "kind": "numeric", "boundaries": [6, 12, 18]}
    settings = make_settings(root, features=[*(f for f in features if f["name"] != "hour"), hour])
    assert [f.name for f in settings.features if f.kind == "numeric"] == ["duration_s", "hour"]
    assert publish_days(settings, len(DAYS), rows=400) == DAYS
    return settings


def turned(settings: Settings) -> Settings:
    """With [[features]] in the opposite order."""
    return settings.model_copy(update={"features": settings.features[::-1]})


def generate_masks(settings: Settings, name: str) -> None:
    if needs_masks(model := load_model(name)):
        generate(settings, model, name)


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def trained(settings: Settings, family: Family, name: str, day: date) -> dict[str, str]:
    """Trains a day. Hashes of its trees, or weights and optimiser state, and of the predictions made for it."""
    run = open_run(settings, family, name)
    train(run, day)
    folder = run.paths.model(family, name, day)
    found = {path.name: sha(path.read_bytes()) for path in folder.glob("*.txt")}
    if (folder / checkpoint.WEIGHTS).is_file():
        weights = torch.load(folder / checkpoint.WEIGHTS, weights_only=True)
        found |= {weight: sha(value.numpy().tobytes()) for weight, value in weights.items()}
        for key, of_adam in torch.load(folder / checkpoint.OPTIMISER, weights_only=True).items():
            for weight, state in of_adam.items():
                found |= {f"{key}/{weight}/{n}": sha(value.numpy().tobytes()) for n, value in state.items()}
    if day > START:
        predictions = read_predictions(run.paths.predictions(family, name, day))
        found["predictions"] = sha(predictions.to_csv().encode())
    return found


def order(settings: Settings) -> list[str]:
    return [feature.name for feature in settings.features]


@pytest.mark.parametrize(("family", "name"), MODELS, ids=[name for _, name in MODELS])
def test_a_run_file_turned_round_after_the_first_day_changes_no_bit(tmp_path: Path, family: Family, name: str) -> None:
    straight, twisted = lake(tmp_path / "straight"), lake(tmp_path / "twisted")
    for settings in (straight, twisted):
        generate_masks(settings, name)
        trained(settings, family, name, START)
    for day in DAYS[1:]:
        expected = trained(straight, family, name, day)
        assert "predictions" in expected and len(expected) > 1
        assert trained(turned(twisted), family, name, day) == expected
        manifest = read_manifest(Paths(twisted.lake.root).model(family, name, day), hint="")
        assert manifest["feature_order"] == order(straight)


MASKED: list[tuple[Family, str]] = [("ranker", "sparse_weight"), ("tagger", "two_tower_sparse")]


@pytest.mark.parametrize(("family", "name"), MASKED, ids=[name for _, name in MASKED])
def test_a_run_file_turned_round_after_the_masks_changes_no_bit(tmp_path: Path, family: Family, name: str) -> None:
    straight, twisted = lake(tmp_path / "straight"), lake(tmp_path / "twisted")
    for settings in (straight, twisted):
        generate_masks(settings, name)
    for day in DAYS[:2]:
        assert trained(turned(twisted), family, name, day) == trained(straight, family, name, day)


def test_masks_generated_again_bring_their_own_order(tmp_path: Path) -> None:
    """Whoever replaces masks has to train again from the first day: under the new masks, in the order of these."""
    settings = lake(tmp_path)
    generate_masks(settings, "sparse_weight")
    trained(settings, "ranker", "sparse_weight", START)
    generate_masks(turned(settings), "sparse_weight")
    with pytest.raises(InputError, match="the checkpoint has another masks"):
        trained(settings, "ranker", "sparse_weight", DAYS[1])
    trained(settings, "ranker", "sparse_weight", START)
    manifest = read_manifest(Paths(settings.lake.root).model("ranker", "sparse_weight", START), hint="")
    assert manifest["feature_order"] == order(turned(settings))
