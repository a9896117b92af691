"""What the MLflow UI shows: one run for each piece of work, comparable names, dataset identity, figures."""

from mlflow.tracking import MlflowClient

from conf.load import load_model
from tests.lakes.samples import publish_days
from trainer.daily.open import open_run
from trainer.daily.train import train
from trainer.pruning.generation import generate


def client_of(settings):
    return MlflowClient(settings.tracking.uri)


def runs_of(settings, experiment):
    client = client_of(settings)
    found = client.get_experiment_by_name(f"sparsetag-{experiment}")
    runs = client.search_runs([found.experiment_id])
    names = [run.info.run_name for run in runs]
    assert len(names) == len(set(names)), f"a piece of work has several runs: {sorted(names)}"
    return dict(zip(names, runs, strict=True))


def artifacts(settings, run):
    return {file.path for file in client_of(settings).list_artifacts(run.info.run_id)}


def test_every_day_is_a_run_and_the_history_a_curve(settings):
    run = open_run(settings, "ranker", "hard")
    first, second = publish_days(settings, 2, rows=600)
    for day in (first, second, second):  # a repeated day replaces its run
        train(run, day)
    runs = runs_of(settings, "ranker")
    assert set(runs) == {"hard", "hard 2026-01-01", "hard 2026-01-02"}
    today = runs["hard 2026-01-02"]
    assert today.data.tags["mlflow.parentRunId"] == runs["hard"].info.run_id
    assert today.info.status == "FINISHED"
    metrics = {
        "ctr_auc",
        "ctr_gauc_impressions",
        "cvr_mse",
        "cvr_auc",
        "ctr_calibration",
        "cvr_calibration",
        "ctr_loss",
    }
    assert metrics <= set(today.data.metrics)
    assert today.data.params["sharing"] == "hard" and today.data.params["optimiser.learning_rate"] == "0.001"
    (dataset,) = today.inputs.dataset_inputs
    assert dataset.dataset.name == "samples/dt=2026-01-02" and len(dataset.dataset.digest) == 16
    assert artifacts(settings, today) == {"next_day_calibration.png"}
    assert runs["hard"].data.params["sharing"] == "hard"  # what Compare shows of two models' histories
    curve = client_of(settings).get_metric_history(runs["hard"].info.run_id, "ctr_auc")
    assert [(point.step, point.value) for point in curve] == [(1, today.data.metrics["ctr_auc"])]


def test_every_mask_round_is_a_run_and_the_masks_have_figures(settings):
    publish_days(settings, 3, rows=600)
    generate(settings, load_model("sparse_weight"), "sparse_weight")
    runs = runs_of(settings, "masks")
    rounds = {f"masks v1 {task} round {n}" for task in ("ctr", "cvr") for n in range(3)}
    assert set(runs) == rounds | {"masks v1"}
    assert artifacts(settings, runs["masks v1"]) == {"metric_by_pruning_round.png", "mask_overlap_by_layer.png"}
    assert "cvr_mse" in runs["masks v1 cvr round 2"].data.metrics
    assert {(i.dataset.name, i.tags[0].value) for i in runs["masks v1"].inputs.dataset_inputs} == {
        ("samples/dt=2026-01-01", "training"),
        ("samples/dt=2026-01-02", "training"),
        ("samples/dt=2026-01-03", "validation"),
    }


def test_each_kind_of_model_shows_its_own_figures(settings):
    (first,) = publish_days(settings, 1, rows=600)
    expected = {
        ("tagger", "mvke"): {"gate_weights_interest.png", "gate_weights_intention.png"},
        ("tagger", "two_tower"): set(),  # a user tower of one vector has no gates
        ("ranker", "gbdt"): {"feature_importance.png"},
        ("ranker", "hard"): set(),
    }
    for (family, model), figures in expected.items():
        train(open_run(settings, family, model), first)
        assert artifacts(settings, runs_of(settings, family)[f"{model} {first}"]) == figures
