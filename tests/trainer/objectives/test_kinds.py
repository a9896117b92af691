"""Kinds of action that a model file names as further tasks."""

import sys
from dataclasses import replace

import pytest
import torch

from conf.errors import InputError
from conf.load import MODELS, load_model, load_settings, model_for
from conf.settings.objective import TaskLoss
from tests.lakes.samples import publish_days, sizes
from tests.lakes.settings import START, make_settings
from trainer import compare_models, generate_masks, train_day
from trainer.daily.open import open_run
from trainer.daily.train import train
from trainer.data.batch import Batch
from trainer.evaluation.predictions import read_predictions
from trainer.models.build import build
from trainer.objectives.build import objective_of
from trainer.objectives.task import Task
from trainer.pruning import store as mask_store
from trainer.pruning.generation import generate
from trainer.training import checkpoint

MORE = load_model("sparse_more_tasks")
HEADS = ("ctr", "cvr", "like", "follow")


def test_a_kind_is_a_task_over_the_rows_whose_action_is_defined():
    like = next(head for head in objective_of(MORE, load_settings("conf/demo.toml")).heads if head.name == "like")
    assert like == Task("like", "action_like", "action_like", "auc", True)
    assert like.label_columns == ("action_like", "action_defined")
    labels = {"action_like": torch.tensor([1.0, 0, 0]), "action_defined": torch.tensor([1.0, 1, 0])}
    rows = Batch(torch.ones(3, 1, dtype=torch.int64), labels, {}, torch.empty(3, 0))
    assert like.rows(rows).tolist() == [True, True, False]


def test_four_tasks_train_under_four_masks_and_each_predicts_its_own_label(settings):
    days = publish_days(settings, 3, rows=1500)
    generate(settings, MORE, "sparse_more_tasks")
    masks, _ = mask_store.read(mask_store.folder(settings, MORE), hint="")
    assert tuple(masks) == HEADS
    kept = [torch.cat([layer.flatten() for layer in masks[head].layers.values()]) for head in HEADS]
    assert not any(torch.equal(a, b) for n, a in enumerate(kept) for b in kept[:n])

    run = open_run(settings, "ranker", "sparse_more_tasks")
    for day in days[:2]:
        train(run, day)
    assert set(run.load(days[1]).manifest["losses"]) == set(HEADS)
    predictions = read_predictions(run.paths.predictions("ranker", run.name, days[1])).set_index("impression_id")
    of_task = dict(list(predictions.groupby("task")))
    assert set(of_task) == {*HEADS, "ctcvr"}
    assert (of_task["like"]["defined"] == of_task["ctr"]["label"]).all()
    assert (of_task["like"]["label"] <= of_task["ctr"]["label"]).all()
    assert 0 < of_task["like"]["label"].sum() < of_task["ctr"]["label"].sum()
    assert not (of_task["like"]["label"] == of_task["follow"]["label"]).all()


def test_a_step_of_one_task_moves_no_weight_that_its_mask_excludes(settings):
    """A task's moments in Adam are zero wherever its mask is."""
    days = publish_days(settings, 3, rows=600)
    generate(settings, MORE, "sparse_more_tasks")
    run = open_run(settings, "ranker", "sparse_more_tasks")
    train(run, days[0])
    state: checkpoint.State = run.load(days[0]).optimiser
    for head in HEADS:
        moments = state[head]["network.net.weights.layer0"]["exp_avg"]
        out = ~run.masks[head].layers["layer0"]
        assert out.any() and not moments[out].any() and moments[~out].any()


@pytest.mark.parametrize(("listed", "now"), [(["like"], r"now: like\), or remove"), ([], r"now: none\), or remove")])
def test_a_kind_that_the_run_file_does_not_list_is_refused_at_once(tmp_path, monkeypatch, listed, now):
    settings = make_settings(tmp_path, monkeypatch, labels={"kinds": listed})
    missing = "follow" if "like" in listed else "like"
    with pytest.raises(
        InputError, match=rf"task {missing}: the run file lists no such kind of action.*{now}"
    ) as caught:
        open_run(settings, "ranker", "sparse_more_tasks")
    assert str(MODELS / "sparse_more_tasks.toml") in str(caught.value) and "\n" not in str(caught.value)
    monkeypatch.setenv("SPARSETAG_RANKER__MODEL", "sparse_more_tasks")
    with pytest.raises(InputError, match=rf"task {missing}: the run file lists no such kind"):
        load_settings("conf/demo.toml")
    assert model_for(settings, "sparse_weight").family == "ranker"


@pytest.mark.parametrize(
    "command",
    [
        [train_day, "train_day", "--family", "ranker", "--day", "2026-01-01", "--model"],
        [generate_masks, "generate_masks", "--model"],
        [compare_models, "compare_models", "--from", "2026-01-04", "--to", "2026-01-04", "--models"],
    ],
    ids=lambda command: command[1],
)
def test_every_command_refuses_a_kind_that_is_not_listed_before_it_looks_at_samples(settings, monkeypatch, command):
    monkeypatch.setenv("SPARSETAG_LABELS__KINDS", "[]")
    module, *arguments = command
    monkeypatch.setattr(sys, "argv", [*arguments, "sparse_more_tasks", "--config", "conf/demo.toml"])
    with pytest.raises(InputError, match=r"task like: the run file lists no such kind"):
        module.main()


def test_samples_built_before_a_kind_was_listed_are_refused(tmp_path):
    before = make_settings(tmp_path, labels={"kinds": ["like"]})
    (day,) = publish_days(before, 1, rows=100)
    settings = make_settings(tmp_path, labels={"kinds": ["like", "follow"]})
    run = open_run(settings, "ranker", "single")
    model = run.model.model_copy(update={"objective": MORE.objective})
    with pytest.raises(InputError, match="column action_follow is missing"):
        train(replace(run, model=model, objective=objective_of(model, settings)), day)
    train(run, day)  # which needs no such column


@pytest.mark.parametrize("sharing", ["single", "hard", "sparse_weight"])
@pytest.mark.parametrize("kind", ["apply", "keys", "shared"])
def test_a_task_named_like_an_attribute_of_modules_is_refused(settings, sharing, kind):
    model = load_model(sharing)
    tasks = model.objective.model_copy(update={"tasks": {kind: TaskLoss()}})
    with pytest.raises(InputError, match=rf"task {kind}: PyTorch modules use that name themselves"):
        build(model.model_copy(update={"objective": tasks}), settings, sizes(START))


@pytest.mark.parametrize(
    ("kinds", "message"), [('["like", "like"]', "lists an action twice"), ('["cvr"]', "'cvr' is the name of another")]
)
def test_kinds_are_distinct_and_named_unlike_the_other_tasks(monkeypatch, kinds, message):
    monkeypatch.setenv("SPARSETAG_LABELS__KINDS", kinds)
    with pytest.raises(InputError, match=message):
        load_settings("conf/demo.toml")


def test_a_crossed_numeric_feature_is_refused_under_tanh(settings):
    crossed = [f.model_copy(update={"cross": True}) if f.kind == "numeric" else f for f in settings.features]
    with pytest.raises(
        InputError, match=r"esm2_tanh.toml: \[embedding\] numeric = 'tanh', but feature 'duration_s'.*is crossed"
    ):
        model_for(settings.model_copy(update={"features": crossed}), "esm2_tanh")
