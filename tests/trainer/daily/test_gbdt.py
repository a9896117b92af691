"""Boosted trees as a ranker: values by hand, out of sample, equal bytes, and compared like any model."""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from conf.errors import InputError
from conf.load import load_model, load_settings
from conf.paths import Paths
from conf.settings.model_file import GbdtModel
from conf.settings.run_file import Feature
from etl.artefact import read_manifest
from tests.lakes.samples import publish_days, sample_rows, write_samples
from tests.lakes.settings import START
from tests.trainer.test_train_day import KILLED, bits
from tests.trainer.tracking.test_mlflow_runs import artifacts, runs_of
from trainer import compare_models
from trainer.daily.open import open_run
from trainer.daily.train import train
from trainer.daily.trees import TreeInputs, fit
from trainer.data.batch import Batch
from trainer.data.layout import Layout
from trainer.evaluation.metrics import metrics_by_task
from trainer.evaluation.predict import predict
from trainer.evaluation.predictions import read_predictions
from trainer.objectives.ranking import ctr_cvr
from trainer.train_day import main

AGE, TAG = Feature(name="age", table="users"), Feature(name="tag", table="items", kind="multi", length=2)
PRICE = Feature(name="price", table="items", kind="numeric", boundaries=[1.0])
SIZES = {"age": 5, "price": 4, "tag": 9}
ONE_SPLIT = {"trees": 1, "depth": 1, "row_share": 1.0, "feature_share": 1.0, "learning_rate": 1.0}


def rows_of(groups, *, ages=None, prices=None, label="click"):
    """100 rows a group, of which the first `share` * 100 have the label; a feature has one value in a group."""
    count = 100 * len(groups)
    labels = {name: torch.ones(count) for name in ("click", "click_defined", "conversion_defined")}
    labels |= {"conversion": torch.zeros(count), "converted": torch.zeros(count)}
    labels[label] = torch.cat([(torch.arange(100) < round(100 * share)).float() for share in groups])
    age = torch.tensor(ages or [2] * len(groups)).repeat_interleave(100)
    price = torch.tensor(prices or [0.0] * len(groups)).repeat_interleave(100)
    return Batch(torch.stack([age, torch.ones(count, dtype=torch.int64)], 1), labels, {}, price.unsqueeze(1))


def fitted(batch, head="ctr", conversion="yes_no", **chosen):
    heads = [task for task in ctr_cvr(conversion).heads if task.name == head]
    model = GbdtModel(family="ranker", kind="gbdt", **{**ONE_SPLIT, **chosen})
    return fit([batch], heads, TreeInputs.of(Layout.of([AGE, PRICE]), SIZES), model, seed=0, threads=1)


def logits(trees, batch, head="ctr"):
    """One a group of 100 rows."""
    return trees.logits(batch, [head])[head][::100].tolist()


@pytest.mark.parametrize(
    "feature", [{"ages": [2, 3]}, {"prices": [7.0, 8.0]}, {"prices": [float("nan"), 8.0]}], ids=["id", "number", "none"]
)
def test_one_split_by_hand(feature):
    # From log odds 0 of the mean 1/2, a leaf is Newton's step (mean - p) / (p (1 - p)): (3/4 - 1/2) * 4 = 1, and -1
    batch = rows_of([0.75, 0.25], **feature)
    trees, losses = fitted(batch)
    assert logits(trees, batch) == pytest.approx([1.0, -1.0])
    assert losses["ctr"] == pytest.approx(np.log1p(np.e) - 0.75)  # -3/4 log s(1) - 1/4 log s(-1)
    assert trees.importance() == {"ctr": {"age": 1.0, "price": 0.0} if "ages" in feature else {"price": 1.0, "age": 0}}


def test_ids_are_categories():
    # one split sets the middle one apart; mean .6, so from log(.6 / .4) by (.8 - .6) / .24 and (.2 - .6) / .24
    batch = rows_of([0.8, 0.2, 0.8], ages=[2, 3, 4])
    high, low = np.log(1.5) + 0.2 / 0.24, np.log(1.5) - 0.4 / 0.24
    assert logits(fitted(batch)[0], batch) == pytest.approx([high, low, high])


def test_a_share_is_a_soft_label():
    batch = rows_of([0.0, 0.0], ages=[2, 3])
    batch.labels["conversion"] = torch.tensor([0.75, 0.25]).repeat_interleave(100)
    trees, _ = fitted(batch, "cvr", "share")
    assert logits(trees, batch, "cvr") == pytest.approx([1.0, -1.0])


def test_each_side_of_a_split_has_min_rows():
    batch = rows_of([0.75, 0.25], ages=[2, 3])
    assert logits(fitted(batch, min_rows=100)[0], batch) == pytest.approx([1.0, -1.0])
    assert logits(fitted(batch, min_rows=101)[0], batch) == pytest.approx([0.0, 0.0])


def test_trees_are_no_deeper_than_depth():
    # each split sets the highest group apart, so that its other side is the one to split again
    batch = rows_of([1.0, 0.2, 0.08, 0.0], prices=[1.0, 2.0, 3.0, 4.0])
    assert len(set(logits(fitted(batch, depth=2)[0], batch))) == 3
    assert len(set(logits(fitted(batch, depth=3)[0], batch))) == 4


def test_importance_of_a_feature_is_that_of_all_its_columns():
    batch = rows_of([0.9, 0.6, 0.3], prices=[1.0, 2.0, 2.0])
    batch = replace(batch, ids=torch.tensor([[2, 2], [2, 3], [3, 2]]).repeat_interleave(100, 0))
    heads = ctr_cvr("yes_no").heads[:1]
    model = GbdtModel(family="ranker", kind="gbdt", **{**ONE_SPLIT, "trees": 3})
    trees, _ = fit([batch], heads, TreeInputs.of(Layout.of([TAG, PRICE]), SIZES), model, seed=0, threads=1)
    first, second, price = trees.boosters["ctr"].feature_importance("gain")
    assert first > 0 and second > 0
    shares = trees.importance()["ctr"]
    assert shares == {
        "tag": pytest.approx((first + second) / (first + second + price)),
        "price": pytest.approx(price / (first + second + price)),
    }


def test_cvr_learns_from_clicked_rows_whose_conversion_is_known():
    batch = rows_of([0.75, 0.25, 1.0], ages=[2, 3, 3], label="converted")
    batch.labels["conversion_defined"][200:] = 0
    assert logits(fitted(batch, "cvr")[0], batch, "cvr") == pytest.approx([1.0, -1.0, -1.0])


def test_each_head_has_trees_of_its_own():
    # of 75 clicks none converts, of 25 all: mean 1/4, so from log(1 / 3) by (0 - 1/4) / (3/16) and (1 - 1/4) / (3/16)
    batch = rows_of([0.75, 0.25], ages=[2, 3])
    batch.labels["converted"] = batch.labels["click"] * (batch.ids[:, 0] == 3)
    batch.labels["conversion_defined"] = batch.labels["click"]
    model = GbdtModel(family="ranker", kind="gbdt", **ONE_SPLIT)
    trees, losses = fit(
        [batch], ctr_cvr("yes_no").heads, TreeInputs.of(Layout.of([AGE, PRICE]), SIZES), model, seed=0, threads=1
    )
    found = trees.logits(batch, ["cvr", "ctr"])
    assert found["ctr"][::100].tolist() == pytest.approx([1.0, -1.0])
    assert found["cvr"][::100].tolist() == pytest.approx([np.log(1 / 3) - 4 / 3, np.log(1 / 3) + 4])
    assert set(losses) == {"ctr", "cvr"}


def test_an_id_that_the_trees_never_saw_is_the_unseen_one():
    batch = rows_of([0.8, 0.35, 0.35], ages=[1, 2, 3])  # mean 1/2; the split sets the unseen id apart
    new = rows_of([0.0, 0.0], ages=[SIZES["age"], 77])
    trees, _ = fitted(batch)
    assert logits(trees, batch) == pytest.approx([1.2, -0.6, -0.6])
    assert logits(trees, new) == pytest.approx([1.2, 1.2])


def test_what_trees_see_of_a_row_by_hand():
    inputs = TreeInputs.of(Layout.of([PRICE, TAG, AGE]), SIZES)
    assert inputs.names == ("f_tag_0", "f_tag_1", "f_age", "v_price")
    assert inputs.features == ("tag", "tag", "age", "price") and inputs.values == ("v_price",)
    ids = torch.tensor([[3, 8, 0, 4], [1, 9, 2, 5]])  # f_price, f_tag_0, f_tag_1, f_age
    seen = inputs.matrix(Batch(ids, {}, {}, torch.tensor([[2.5], [torch.nan]])))
    assert np.array_equal(seen, [[8, 0, 4, 2.5], [1, 2, 1, np.nan]], equal_nan=True)


def test_without_two_labels_a_head_is_a_constant():
    batch = rows_of([0.0, 0.0], ages=[2, 3], label="converted")
    trees, losses = fitted(batch, "cvr")
    assert logits(trees, batch, "cvr") == pytest.approx([np.log(1 / 201)] * 2) and losses == {}
    batch.labels["conversion_defined"][:] = 0
    assert logits(fitted(batch, "cvr")[0], batch, "cvr") == [0.0, 0.0]  # (0 + 1) / (0 + 2): nothing is known


@pytest.fixture
def run(settings):
    return open_run(settings, "ranker", "gbdt")


def test_a_day_is_predicted_by_trees_that_never_saw_it(settings, run):
    """Users who clicked on day 1 do not on day 2, and the other way round, so day 1's trees rank every pair wrongly."""
    for day, clicks in zip(publish_days(settings, 2), ((2, 3), (4, 5)), strict=True):
        frame = sample_rows(settings, day, 1200)
        frame = frame[frame["f_age"] > 1].reset_index(drop=True)
        frame["click"] = frame["f_age"].isin(clicks).astype(np.float32)
        write_samples(settings, day, frame)
        train(run, day)
        second = day
    manifest = read_manifest(run.paths.model("ranker", "gbdt", second), hint="")
    assert manifest["metrics"]["ctr"]["auc"] < 0.01
    # fit to both days, they have not forgotten the first
    assert list(manifest["history"]) == ["2026-01-01", "2026-01-02"]
    again = predict(run.load_model(second), run.objective, run.paths.samples(START), run.layout, run.device)
    assert metrics_by_task(again)["ctr"]["auc"] > 0.8


def test_predictions_are_those_of_the_published_trees_and_ctcvr_is_the_product(settings, run):
    first, second = publish_days(settings, 2)
    train(run, first)
    published = run.load_model(first)
    train(run, second)
    stored = read_predictions(run.paths.predictions("ranker", "gbdt", second))
    again = predict(published, run.objective, run.paths.samples(second), run.layout, run.device)
    assert stored.equals(again) and len(stored) == 3600
    of_task = {task: rows["prediction"].to_numpy() for task, rows in stored.groupby("task")}
    assert of_task["ctcvr"] == pytest.approx(of_task["ctr"] * of_task["cvr"], rel=1e-5)
    assert stored["prediction"].min() > 0 and stored["prediction"].max() < 1


def test_equal_seeds_give_equal_bytes_and_another_seed_others(settings, run, monkeypatch):
    days = publish_days(settings, 2)
    for day in days:
        train(run, day)
    before = bits(settings.lake.root)
    for day in days:
        train(run, day)
    assert bits(settings.lake.root) == before
    monkeypatch.setenv("SPARSETAG_TRAINING__SEED", "1")
    other = open_run(load_settings("conf/demo.toml"), "ranker", "gbdt")
    train(other, days[0])
    assert other.name == "gbdt-seed1"
    trees = [(r.paths.model("ranker", r.name, days[0]) / "ctr.txt").read_bytes() for r in (run, other)]
    assert trees[0] != trees[1]


def test_killed_between_its_two_tasks_and_run_again_gives_the_same_bytes(settings, monkeypatch):
    publish_days(settings, 2)
    command = ["trainer.train_day", "--config", "conf/demo.toml", "--family", "ranker", "--day", "2026-01-02"]
    command += ["--model", "gbdt"]
    moment = r"models.*dt=2026-01-02.*cvr\.txt"
    killed = subprocess.run([sys.executable, "-c", KILLED, moment, *command], capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    models = settings.lake.root / "models"
    assert [path.name for path in models.glob("*/*/*")] == ["dt=2026-01-01"]
    monkeypatch.setattr(sys, "argv", command)
    main()
    again = bits(models)
    shutil.rmtree(models)
    main()
    assert bits(models) == again and len(again) == 6  # two days of ctr, cvr and the manifest


def test_trees_of_other_settings_and_damaged_ones_are_refused(settings, run):
    first, second = publish_days(settings, 2)
    train(run, first)
    other = replace(run, model=run.model.model_copy(update={"depth": 4}))
    with pytest.raises(InputError, match=r"the checkpoint has another model: depth is 8, not 4"):
        train(other, second)
    trees = run.paths.model("ranker", "gbdt", first) / "ctr.txt"
    trees.write_text(trees.read_text().replace("leaf_value=", "leaf_value=0.5 ", 1))
    with pytest.raises(InputError, match=r"ctr\.txt is damaged"):
        train(run, second)
    assert not run.paths.model("ranker", "gbdt", second).exists()


def test_a_day_without_clicks_is_a_constant_and_training_goes_on(settings, run):
    days = publish_days(settings, 3)
    none = sample_rows(settings, days[0], 1200)
    none[["click", "conversion", "converted", "action", "action_defined", "conversion_defined"]] = 0.0
    write_samples(settings, days[0], none)
    for day in days:
        train(run, day)
    predictions = read_predictions(run.paths.predictions("ranker", "gbdt", days[1]))
    of_task = {task: rows["prediction"].unique().tolist() for task, rows in predictions.groupby("task")}
    assert of_task == {"ctr": [pytest.approx(1 / 1202)], "cvr": [0.5], "ctcvr": [pytest.approx(0.5 / 1202)]}
    manifests = [read_manifest(run.paths.model("ranker", "gbdt", day), hint="") for day in days]
    assert manifests[0]["losses"] == {} and set(manifests[1]["losses"]) == {"ctr", "cvr"}
    assert manifests[1]["metrics"]["ctr"]["auc"] == 0.5  # all alike
    assert manifests[2]["metrics"]["cvr"]["auc"] > 0.6
    write_samples(settings, days[2], none.assign(click_defined=0.0))
    train(run, days[2])
    assert read_manifest(run.paths.model("ranker", "gbdt", days[2]), hint="")["metrics"]["ctr"]["auc"] is None


def test_gbdt_is_a_ranker_and_no_tagger(settings, monkeypatch):
    monkeypatch.setenv("SPARSETAG_RANKER__MODEL", "gbdt")
    assert open_run(load_settings("conf/demo.toml"), "ranker").model == load_model("gbdt")
    with pytest.raises(InputError, match="'gbdt' is a ranker, not a tagger"):
        open_run(settings, "tagger", "gbdt")


def test_the_model_file_has_the_settings_of_the_paper():
    paper = {"trees": 150, "depth": 8, "min_rows": 20, "row_share": 0.6, "feature_share": 0.6}
    assert paper.items() <= load_model("gbdt").model_dump().items()
    assert GbdtModel(family="ranker", kind="gbdt") == load_model("gbdt")


def test_every_setting_reaches_lightgbm(settings, run):
    (day,) = publish_days(settings, 1)
    train(run, day)
    text = (run.paths.model("ranker", "gbdt", day) / "cvr.txt").read_text()
    expected = {"objective": "cross_entropy", "num_iterations": 150, "max_depth": 8, "num_leaves": 256}
    expected |= {"min_data_in_leaf": 20, "bagging_fraction": 0.6, "bagging_freq": 1, "feature_fraction": 0.6}
    expected |= {"learning_rate": 0.05, "deterministic": 1, "force_row_wise": 1, "num_threads": 1}
    assert [line for name, value in expected.items() if (line := f"[{name}: {value}]") not in text.splitlines()] == []


def test_gbdt_is_compared_and_logged_like_any_other_model(settings, monkeypatch):
    days = publish_days(settings, 3, rows=600)
    command = ["compare_models", "--config", "conf/demo.toml", "--from", str(days[1]), "--to", str(days[2])]
    command += ["--models", "gbdt", "--base", "dnn", "--seeds", "1"]
    monkeypatch.setattr(sys, "argv", command)
    compare_models.main()
    paths = Paths(settings.lake.root)
    found = json.loads((paths.comparison("models") / "comparison.json").read_text())["models"]
    scores = [read_predictions(paths.predictions("ranker", "gbdt", day)) for day in days[1:]]
    of_ctr = [rows[rows["task"] == "ctr"] for rows in scores]
    expected = roc_auc_score(*(np.concatenate([rows[name] for rows in of_ctr]) for name in ("positive", "prediction")))
    assert found["gbdt"]["spreads"]["ctr_auc"]["mean"] == pytest.approx(expected)
    assert not found["gbdt"]["other_label"] and found["gbdt"]["differences"]["cvr_mse"]["pairs"] == 2
    assert runs_of(settings, "comparison")["models gbdt"].data.params["depth"] == "8"
    today = runs_of(settings, "ranker")[f"gbdt {days[2]}"]
    assert artifacts(settings, today) == {"next_day_calibration.png", "feature_importance.png"}
    assert today.data.params["trees"] == "150" and {"ctr_loss", "cvr_auc"} <= set(today.data.metrics)
