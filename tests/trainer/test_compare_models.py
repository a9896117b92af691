"""The job that compares models: training, resumption, undefined metrics, refusals, and MLflow runs."""

import json
import shutil
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conf.errors import InputError
from conf.load import load_settings
from conf.paths import Paths
from conf.settings.run_file import Lake, Tracking
from etl.artefact import read_manifest
from tests.kill import killed
from tests.lakes.samples import publish_days, sample_rows, write_samples
from tests.lakes.settings import START
from tests.trainer.test_train_day import bits
from tests.trainer.tracking.test_mlflow_runs import artifacts, runs_of
from trainer.compare_models import compare, main
from trainer.comparison.rankscore import Rankscore
from trainer.comparison.request import Request
from trainer.evaluation.predictions import read_predictions

DAYS = [str(START + timedelta(days=n)) for n in range(4)]


@pytest.fixture
def job(settings, monkeypatch):
    """Runs the job; `job.folder` is the published comparison."""

    def run(*arguments: str) -> None:
        command = ["compare_models", "--config", "conf/demo.toml", "--from", DAYS[2], "--to", DAYS[3], *arguments]
        monkeypatch.setattr(sys, "argv", command)
        main()

    run.folder = Paths(settings.lake.root).comparison("models")
    monkeypatch.setenv("SPARSETAG_MASKS__TRAIN_DAYS", "1")
    monkeypatch.setenv("SPARSETAG_MASKS__ROUNDS", "1")
    return run


def test_models_are_trained_compared_published_and_logged(settings, job, capsys):
    publish_days(settings, 4, rows=1000)
    job("--models", "sparse_weight", "--base", "dnn", "--seeds", "2")
    events = capsys.readouterr().err
    assert "training for the comparison  model=dnn seed=0 left=4 of=4" in events
    assert "training for the comparison  model=sparse_weight seed=1 left=1 of=4" in events
    found = json.loads((job.folder / "comparison.json").read_text())
    assert list(found["models"]) == ["dnn", "sparse_weight"]
    assert found["rows"] == 2000 and found["test"] == "scipy.stats.ttest_rel"
    check_cvr_errors(settings, found["models"]["sparse_weight"])
    check_error_of_the_mean(settings, found["predicting_the_mean"]["cvr_mse"])
    text = (job.folder / "comparison.md").read_text()
    assert "## ctcvr, top rows" in text and "| sparse_weight † | 0." in text and "nan" not in text.lower()

    logged = runs_of(settings, "comparison")
    assert set(logged) == {"models", "models sparse_weight", "models dnn"}
    run, metrics = logged["models sparse_weight"], found["models"]["sparse_weight"]["spreads"]
    assert run.data.params["sharing"] == "sparse_weight" and run.data.params["seeds"] == "2"
    assert run.data.metrics["cvr_mse"] == metrics["cvr_mse"]["mean"]
    assert run.data.metrics["cvr_mse_sd"] == metrics["cvr_mse"]["sd"]
    interval, of_difference = (
        found["models"]["sparse_weight"][of]["ctr_auc"] for of in ("intervals", "difference_intervals")
    )
    logged_ends = [run.data.metrics[f"ctr_auc{of}"] for of in ("_low", "_high", "_minus_dnn_low", "_minus_dnn_high")]
    assert logged_ends == [*interval.values(), *of_difference.values()]
    assert interval["low"] < metrics["ctr_auc"]["mean"] < interval["high"]
    assert {
        "comparison.md",
        "ctr_auc_by_model.png",
        "rankscore_value_of_top_by_model.png",
        "ctr_auc_by_activity.png",
        "ctr_auc_by_domain.png",
    } <= artifacts(settings, logged["models"])
    check_resumption(settings, job, capsys)
    assert set(runs_of(settings, "comparison")) == set(logged)


def check_cvr_errors(settings, found):
    """sparse_weight learns the share and dnn yes or no: their errors do not compare, their order does."""
    paths, errors, rows = Paths(settings.lake.root), {}, {}
    for run in ("sparse_weight", "sparse_weight-seed1"):
        days = [read_predictions(paths.predictions("ranker", run, date.fromisoformat(day))) for day in DAYS[2:]]
        clicked = [frame[(frame["task"] == "cvr") & (frame["defined"] > 0)] for frame in days]
        both = pd.concat(clicked)
        errors[run] = float(((both["prediction"] - both["label"]) ** 2).mean())
        for day, frame in zip(DAYS[2:], clicked, strict=True):
            rows[day] = rows.get(day, 0) + len(frame)
    mean, sd = np.mean(list(errors.values())), np.std(list(errors.values()), ddof=1)
    assert found["spreads"]["cvr_mse"]["mean"] == pytest.approx(mean, rel=1e-6)
    assert found["spreads"]["cvr_mse"]["sd"] == pytest.approx(sd, rel=1e-4)
    by_day = {day: metrics["cvr_mse"]["mean"] for day, metrics in found["by_day"].items()}
    assert by_day.keys() == rows.keys()
    weighted = sum(by_day[day] * rows[day] for day in rows) / sum(rows.values())
    assert weighted == pytest.approx(mean, rel=1e-6)
    assert "cvr_mse" not in found["differences"] and "cvr_auc" in found["differences"]
    assert found["differences"]["ctr_auc"]["pairs"] == 4
    assert set(found["by_domain"]) == {"d1", "d2", "d3", "d4"} and len(found["by_activity"]) == 4


def check_error_of_the_mean(settings, mse):
    samples = [sample_rows(settings, date.fromisoformat(day), 1000) for day in DAYS]
    earlier, later = (pd.concat(days).query("click == 1")["converted"] for days in (samples[:2], samples[2:]))
    assert mse == pytest.approx(((later - earlier.mean()) ** 2).mean(), rel=1e-6)


def check_resumption(settings, job, capsys):
    """A published comparison is left alone; without its table and one model, that model alone is trained again."""
    before = bits(settings.lake.root)
    job("--models", "sparse_weight", "--base", "dnn", "--seeds", "2")
    assert "comparison is published already" in capsys.readouterr().err
    with pytest.raises(InputError, match="other models, seeds or days"):
        job("--models", "sparse_weight", "--seeds", "2")
    for lost in (job.folder, Paths(settings.lake.root).model("ranker", "dnn-seed1", date.fromisoformat(DAYS[3]))):
        shutil.rmtree(lost)
    capsys.readouterr()
    job("--models", "sparse_weight", "--base", "dnn", "--seeds", "2")
    trained = [line for line in capsys.readouterr().err.splitlines() if " model published " in line]
    assert len(trained) == 1 and f"model=dnn-seed1 day={DAYS[3]} " in trained[0]
    assert bits(settings.lake.root) == before


def two_models(root: Path) -> None:
    settings = load_settings("conf/demo.toml").model_copy(
        update={"lake": Lake(root=root / "lake"), "tracking": Tracking(uri=f"sqlite:///{root}/mlflow.db")}
    )
    request = Request(
        "models", "ranker", ["single", "hard"], "single", 1, date(2026, 1, 2), date(2026, 1, 3), Rankscore()
    )
    compare(settings, request)


def test_killed_twice_and_run_again_gives_the_bytes_of_an_undisturbed_run(tmp_path):
    lakes = [tmp_path / name for name in ("undisturbed", "killed")]
    for lake in lakes:
        lake.mkdir()
        settings = load_settings("conf/demo.toml").model_copy(update={"lake": Lake(root=lake / "lake")})
        publish_days(settings, 3, rows=300)
    two_models(lakes[0])
    # the second model is trained on the second of three days, and that day is not published
    killed(two_models, lakes[1], "trainer.training.checkpoint:save", 5)
    assert not (lakes[1] / "lake" / "comparisons").exists()
    # everything is logged and the table is written, and not published
    killed(two_models, lakes[1], "trainer.comparison.publication:write_manifest", 1)
    assert not (lakes[1] / "lake" / "comparisons").exists()
    two_models(lakes[1])
    undisturbed, after = (bits(lake / "lake" / "comparisons" / "models") for lake in lakes)
    assert undisturbed and after == undisturbed
    settings = load_settings("conf/demo.toml").model_copy(
        update={"tracking": Tracking(uri=f"sqlite:///{lakes[1]}/mlflow.db")}
    )
    assert set(runs_of(settings, "comparison")) == {"models", "models single", "models hard"}


def test_a_day_without_conversions_and_a_domain_of_one_class_have_undefined_metrics(settings, job):
    days = publish_days(settings, 4, rows=1000)
    none = sample_rows(settings, days[2], 1000)
    none[["click", "conversion", "converted", "action", "action_defined", "conversion_defined"]] = 0.0
    write_samples(settings, days[2], none)
    last = sample_rows(settings, days[3], 1000)
    quiet = last["domain"] == "d1"
    last.loc[quiet, ["click", "conversion", "converted", "action", "action_defined", "conversion_defined"]] = 0.0
    write_samples(settings, days[3], last)
    job("--models", "esm2", "--seeds", "1")
    before = bits(job.folder)
    (job.folder / "comparison.md").write_text("damaged")
    job("--models", "esm2", "--seeds", "1", "--force")
    assert bits(job.folder) == before
    found = json.loads((job.folder / "comparison.json").read_text(), parse_constant=pytest.fail)  # NaN, Infinity
    esm2 = found["models"]["esm2"]
    assert esm2["by_domain"]["d1"]["ctr_auc"] == {"mean": None, "sd": None}
    assert esm2["by_domain"]["d1"]["ctr_gauc_impressions"] == {"mean": None, "sd": None}
    assert found["domains"]["d1"] == {"impressions": int((none["domain"] == "d1").sum() + quiet.sum()), "click_rate": 0}
    assert esm2["by_domain"]["d2"]["ctr_auc"]["mean"] > 0
    assert esm2["spreads"]["cvr_auc"]["mean"] > 0 and esm2["differences"]["cvr_auc"] == {
        "value": pytest.approx(
            esm2["spreads"]["cvr_auc"]["mean"] - found["models"]["single"]["spreads"]["cvr_auc"]["mean"]
        ),
        "p": None,
        "pairs": 1,
    }
    assert "undefined" in (job.folder / "comparison.md").read_text()
    assert (
        read_manifest(Paths(settings.lake.root).model("ranker", "esm2", days[3]), hint="")["losses"]["entire_space"] > 0
    )


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["--models", "mvke"], "'mvke' is a tagger"),
        (["--models", "sparse", "--seeds", "1"], "there is no model 'sparse'"),
        (["--models", "hard", "--from", "2026-01-01"], "nothing predicts 2026-01-01"),
        (["--models", "sparse_weight", "--from", "2026-01-02"], "chosen on days up to 2026-01-02"),
        (["--models", "hard", "--rankscore", "1", "1", "1"], "nothing says the length"),
    ],
)
def test_impossible_comparisons_are_refused_before_any_work(settings, job, arguments, match):
    with pytest.raises(InputError, match=match):
        job(*arguments)
    assert not settings.lake.root.exists()


@pytest.mark.parametrize("arguments", [["--seeds", "0"], ["--seeds", "21"], ["--seeds", "x"], ["--name", "../x"]])
def test_a_wrong_number_of_seeds_or_name_ends_with_exit_code_2(job, arguments):
    with pytest.raises(SystemExit) as ended:
        job("--models", "hard", *arguments)
    assert ended.value.code == 2
