"""The job on small samples: the table, its baselines, MLflow, a second run, a refusal."""

import json
import sys
from datetime import timedelta

import pytest

from conf.errors import InputError
from conf.paths import Paths
from tagging.compare_taggers import main
from tests.lakes.samples import publish_days
from tests.lakes.settings import START
from tests.trainer.tracking.test_mlflow_runs import artifacts, runs_of

DAYS = [str(START + timedelta(days=n)) for n in range(4)]


def job(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    command = ["compare_taggers", "--config", "conf/demo.toml", "--from", DAYS[2], "--to", DAYS[3], *arguments]
    monkeypatch.setattr(sys, "argv", command)
    main()


def test_taggers_are_trained_compared_with_baselines_published_and_logged(settings, monkeypatch, capsys) -> None:
    publish_days(settings, 4, rows=800)
    job(monkeypatch, "--models", "mvke", "--seeds", "2")
    folder = Paths(settings.lake.root).comparison("taggers")
    found = json.loads((folder / "comparison.json").read_text())
    assert list(found["models"]) == ["two_tower", "mvke"]
    assert set(found["baselines"]) == {"popularity", "own_counts", "both_counts"}
    for of_model in found["models"].values():
        for task in ("interest", "intention"):
            assert of_model["spreads"][f"{task}_auc"]["sd"] > 0
            interval = of_model["intervals"][f"{task}_auc"]
            assert interval["low"] < of_model["spreads"][f"{task}_auc"]["mean"] < interval["high"]
            for metric in ("ndcg_at_5", "ndcg_at_10", "hit_rate_at_5", "hit_rate_at_10"):
                assert 0 < of_model["spreads"][f"{task}_{metric}"]["mean"] <= 1
            # seven tags in all, so the best ten hold every one
            assert of_model["spreads"][f"{task}_hit_rate_at_10"]["mean"] == 1
        assert set(of_model["by_day"]) == {DAYS[2], DAYS[3]}
    text = (folder / "comparison.md").read_text()
    assert "## impressions by domain" in text and "## interest gauc impressions by domain" in text
    assert "Baseline own_counts: interest_ndcg_at_5 0." in text
    assert "nan" not in text.lower()
    assert {"comparison.md", "interest_ndcg_at_10_by_model.png"} <= artifacts(
        settings, runs_of(settings, "comparison")["taggers"]
    )
    capsys.readouterr()
    job(monkeypatch, "--models", "mvke", "--seeds", "2")
    assert "comparison is published already" in capsys.readouterr().err


def test_a_ranker_is_refused_before_any_work(settings, monkeypatch) -> None:
    with pytest.raises(InputError, match="model 'hard' is a ranker"):
        job(monkeypatch, "--models", "hard")
