"""The daily job: progressive, warm, repeatable."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import torch

from conf.errors import InputError
from conf.load import load_model, load_settings
from conf.paths import Paths
from etl.artefact import read_manifest
from tests.lakes.samples import publish_days, sample_rows, sizes, write_samples
from tests.lakes.settings import START
from trainer.daily.open import open_run
from trainer.daily.train import train
from trainer.data.reader import read
from trainer.evaluation.predictions import read_predictions
from trainer.pruning.generation import generate
from trainer.train_day import main
from trainer.training import checkpoint


def bits(folder: Path) -> dict[str, str]:
    """relative path -> hash, of every file below a folder"""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def job(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, "--config", "conf/demo.toml", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ)


@pytest.fixture
def hard(monkeypatch):
    monkeypatch.setenv("SPARSETAG_RANKER__MODEL", "hard")


@pytest.fixture
def run(hard, settings):
    return open_run(settings, "ranker", "hard")


def test_a_day_is_predicted_by_the_model_of_the_day_before_it(settings, run):
    first, second = publish_days(settings, 2)
    train(run, first)
    yesterday = run.load_model(first)
    train(run, second)
    predictions = read_predictions(run.paths.predictions("ranker", "hard", second))
    ctr = predictions[predictions["task"] == "ctr"].set_index("impression_id")
    assert len(ctr) == 1200 and len(predictions) == 3600

    batch = next(iter(read(run.paths.samples(second), run.layout, keys=["impression_id"])))
    with torch.inference_mode():
        expected = torch.sigmoid(yesterday.logits(batch, ["ctr"])["ctr"])
    assert torch.allclose(
        torch.tensor(ctr.loc[batch.keys["impression_id"], "prediction"].to_numpy()), expected, atol=1e-6
    )


def test_the_first_day_has_no_metrics_and_no_predictions(settings, run):
    (first,) = publish_days(settings, 1)
    train(run, first)
    assert read_manifest(run.paths.model("ranker", "hard", first), hint="")["metrics"] == {}
    assert not run.paths.predictions("ranker", "hard", first).exists()


def test_training_goes_on_from_the_day_before(settings, run):
    first, second = publish_days(settings, 2)
    train(run, first)
    train(run, second)
    parent = run.load(first)
    today = run.load(second)
    assert today.manifest["parent"] is not None
    # the shared table's optimiser state has seen the batches of both days and both tasks
    steps = float(today.optimiser["tables"]["embeddings.shared.table"]["step"])
    assert steps == sum(parent.manifest["batches"].values()) + sum(today.manifest["batches"].values())


def test_ids_that_are_new_today_get_rows_and_yesterdays_rows_stay(settings, run):
    first, second = publish_days(settings, 2)
    train(run, first)
    yesterday, name = run.load(first), "embeddings.shared.table"
    today, fresh = run.build(sizes(second)), run.build(sizes(second)).state_dict()[name]
    state = checkpoint.warm_start(today, yesterday)
    # user_id comes first and has grown from 30 rows to 32, every other feature's rows have moved by 2
    rows, moments = today.state_dict()[name], state["tables"][name]["exp_avg"]
    assert torch.equal(rows[:30], yesterday.weights[name][:30]) and torch.equal(rows[30:32], fresh[30:32])
    assert torch.equal(moments[:30], yesterday.optimiser["tables"][name]["exp_avg"][:30])
    assert not moments[30:32].any() and moments.shape == rows.shape == (sum(sizes(second).values()), 16)
    assert torch.equal(rows[32:38], yesterday.weights[name][30:36])
    others = {key: weight for key, weight in yesterday.weights.items() if key != name}
    assert others and all(torch.equal(today.state_dict()[key], weight) for key, weight in others.items())
    train(run, second)
    assert run.load(second).weights[name].shape == rows.shape


def test_equal_seeds_give_equal_bits_and_another_seed_others(settings, run, tmp_path, monkeypatch):
    (first, second) = publish_days(settings, 2)
    target = run.paths.model("ranker", "hard", second)
    for day in (first, second):
        train(run, day)
    before = bits(target)
    for day in (first, second):
        train(run, day)
    assert bits(target) == before
    monkeypatch.setenv("SPARSETAG_TRAINING__SEED", "1")
    other = open_run(load_settings("conf/demo.toml"), "ranker", "hard")
    train(other, first)
    assert other.name == "hard-seed1"
    name = "embeddings.shared.table"
    assert not torch.equal(other.load(first).weights[name], run.load(first).weights[name])
    assert not torch.equal(other.build(sizes(first)).state_dict()[name], run.build(sizes(first)).state_dict()[name])


def test_one_job_trains_every_missing_day_in_order_and_then_nothing(settings, hard):
    publish_days(settings, 3)
    paths = Paths(settings.lake.root)
    done = job("trainer.train_day", "--family", "ranker", "--day", "2026-01-03")
    assert done.returncode == 0, done.stderr
    assert [path.name for path in sorted((paths.root / "models/ranker/hard").iterdir())] == [
        f"dt={START + timedelta(days=n)}" for n in range(3)
    ]
    before = bits(paths.root / "models")
    again = job("trainer.train_day", "--family", "ranker", "--day", "2026-01-03")
    assert "model is published already" in again.stderr and bits(paths.root / "models") == before


# Runs a job that is killed, as by `kill -9`, in the moment that it opens a file whose path matches.
KILLED = """
import os, re, runpy, signal, sys
path = re.compile(sys.argv.pop(1))
def killing(event, arguments):
    if event == "open" and arguments[1] == "w" and path.search(str(arguments[0])):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(killing)
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


FIRST, PREDICTED = "models/ranker/{}/dt=2026-01-01", "predictions/ranker/{}/dt=2026-01-02"


@pytest.mark.parametrize(
    ("model", "moment", "left"),
    [
        ("hard", "models.*dt=2026-01-01.*MANIFEST", []),  # weights and optimiser are written, the manifest is not
        ("hard", "predictions.*dt=2026-01-02.*MANIFEST", [FIRST]),
        ("hard", "models.*dt=2026-01-02.*MANIFEST", [FIRST, PREDICTED]),
        # these keep more than weights: centres and shares of clusters, moments of domains
        ("adaptdhm", "models.*dt=2026-01-02.*MANIFEST", [FIRST, PREDICTED]),
        ("star_full", "models.*dt=2026-01-02.*MANIFEST", [FIRST, PREDICTED]),
    ],
    ids=["first model", "predictions", "second model", "clusters", "moments"],
)
def test_killed_at_any_moment_and_run_again_gives_the_same_bits(settings, monkeypatch, model, moment, left):
    monkeypatch.setenv("SPARSETAG_RANKER__MODEL", model)
    publish_days(settings, 2)
    command = ["trainer.train_day", "--config", "conf/demo.toml", "--family", "ranker", "--day", "2026-01-02"]
    tables = [settings.lake.root / kind for kind in ("models", "predictions")]
    killed = subprocess.run([sys.executable, "-c", KILLED, moment, *command], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    published = [path for table in tables for path in table.glob("*/*/*")]
    assert [str(path.relative_to(settings.lake.root)) for path in published] == [each.format(model) for each in left]
    monkeypatch.setattr(sys, "argv", command)
    main()
    again = [bits(table) for table in tables]
    for table in tables:
        shutil.rmtree(table)
    main()
    assert [bits(table) for table in tables] == again


def refused(*arguments: str, match: str) -> None:
    done = job("trainer.train_day", *arguments)
    *events, last = done.stderr.strip().splitlines()
    assert done.returncode == 2, done.stderr
    assert last.startswith("error: ") and match in last, done.stderr
    assert all("published" in line for line in events), done.stderr  # of the days before


def test_a_day_without_samples_is_refused_and_publishes_nothing(settings, hard):
    publish_days(settings, 1)
    refused("--family", "ranker", "--day", "2026-01-03", match="dt=2026-01-02: not there")
    assert not (settings.lake.root / "models/ranker/hard/dt=2026-01-03").exists()


def test_a_day_before_the_start_is_refused(settings, hard):
    refused("--family", "ranker", "--day", "2025-12-31", match="before [training] start")


def test_a_sparse_model_without_masks_is_told_how_to_make_them(settings):
    refused("--family", "ranker", "--day", "2026-01-01", match="sparsetag generate_masks")


def test_a_model_of_the_other_family_is_refused(settings):
    refused("--family", "tagger", "--model", "hard", "--day", "2026-01-01", match="'hard' is a ranker")


def test_a_checkpoint_of_another_vocabulary_is_refused(settings, run):
    first, second = publish_days(settings, 2)
    train(run, first)
    manifest = run.paths.vocabulary(first) / "_MANIFEST.json"
    manifest.write_text(manifest.read_text().replace('"user_id": 30', '"user_id": 29'))
    with pytest.raises(InputError, match="the checkpoint has another vocabulary"):
        train(run, second)
    assert not run.paths.model("ranker", "hard", second).exists()


def test_a_damaged_checkpoint_is_refused(settings, run):
    first, second = publish_days(settings, 2)
    train(run, first)
    weights = run.paths.model("ranker", "hard", first) / "weights.pt"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"weights\.pt is damaged"):
        train(run, second)


def test_a_mask_of_another_architecture_is_refused(settings, monkeypatch):
    publish_days(settings, 3, rows=300)
    model = load_model("sparse_weight")
    smaller = model.sharing.model_copy(update={"hidden": [8, 4]})
    generate(settings, model.model_copy(update={"sharing": smaller}), "sparse_weight")
    with pytest.raises(InputError, match="mask of another architecture"):
        open_run(settings, "ranker")


def test_a_day_without_any_click_trains_on_and_reports_cvr_as_undefined(settings, run):
    first, second = publish_days(settings, 2)
    unclicked = sample_rows(settings, second, 500)
    unclicked[["click", "conversion", "converted", "action", "action_defined", "conversion_defined"]] = 0.0
    write_samples(settings, second, unclicked)
    train(run, first)
    train(run, second)
    metrics = read_manifest(run.paths.model("ranker", "hard", second), hint="")["metrics"]
    assert metrics["cvr"]["mse"] is None and metrics["ctr"]["auc"] is None and metrics["ctr"]["mse"] > 0
