"""Clusters from day to day: the state that is kept, and what people are told of it."""

import hashlib
import logging
import subprocess
import sys
from datetime import timedelta

import pytest
import torch
from mlflow.tracking import MlflowClient

from conf.load import load_model
from conf.log import LOGGER
from etl.artefact import read_manifest
from tests.lakes.samples import publish_days
from tests.lakes.settings import START
from trainer.daily import clusters
from trainer.daily.open import open_ranker, open_run
from trainer.daily.train import train
from trainer.data.reader import read
from trainer.parts.routing import ByCluster, ClusterReport
from trainer.training import checkpoint


def routed(model, run, day):
    """A hash of each row's cluster and logits, and the number of clusters that have rows."""
    with torch.inference_mode():
        batch = next(read(run.paths.samples(day), run.layout))
        groups = model.routings["ctr"](model.embeddings["ctr"](batch.ids), batch.ids)
        found = [groups, *model.eval().logits(batch, model.heads).values()]
    return hashlib.sha256(b"".join(v.numpy().tobytes() for v in found)).hexdigest(), len(groups.unique())


IN_A_FRESH_PROCESS = """
from tests.lakes.settings import START
from tests.trainer.daily.test_clusters import routed
from conf.load import load_settings
from trainer.daily.open import open_ranker
run = open_ranker(load_settings("conf/demo.toml"), "adaptdhm")
print(*routed(run.load_model(START), run, START))
"""


def test_a_fresh_process_routes_to_the_bit_as_the_one_that_learnt(settings, monkeypatch):
    publish_days(settings, 1)
    trained, save = [], checkpoint.save
    monkeypatch.setattr(
        checkpoint, "save", lambda folder, model, *rest: trained.append(model) or save(folder, model, *rest)
    )
    run = open_ranker(settings, "adaptdhm")
    train(run, START)
    digest, used = routed(trained[0], run, START)
    assert used > 1
    fresh = subprocess.run([sys.executable, "-c", IN_A_FRESH_PROCESS], capture_output=True, text=True, check=True)
    assert fresh.stdout.split() == [digest, str(used)]


def test_the_next_day_starts_from_yesterdays_centres(settings, monkeypatch):
    first, second = publish_days(settings, 2)
    run = open_ranker(settings, "adaptdhm")
    train(run, first)
    yesterday = run.load(first).weights["routings.ctr.centres"]
    seen = []
    observe = ByCluster.observe
    monkeypatch.setattr(
        ByCluster, "observe", lambda self, *rest: seen.append(self.centres.clone()) or observe(self, *rest)
    )
    train(run, second)
    assert torch.equal(seen[0], yesterday)
    assert not torch.equal(run.load(second).weights["routings.ctr.centres"], yesterday)


@pytest.mark.parametrize(("family", "name"), [("ranker", "adaptdhm"), ("tagger", "two_tower_adaptdhm")])
def test_a_days_run_shows_its_clusters(settings, family, name):
    days = publish_days(settings, 2)
    run = open_run(settings, family, name)
    for day in days:
        train(run, day)
    client = MlflowClient(settings.tracking.uri)
    experiment = client.get_experiment_by_name(f"sparsetag-{family}").experiment_id
    runs = {found.info.run_name: found for found in client.search_runs([experiment])}
    today = runs[f"{name} 2026-01-02"]
    heads = load_model(name).heads
    for head in heads:
        shares = [today.data.metrics[f"{head}_cluster_{n}_share"] for n in range(5)]
        assert sum(shares) == pytest.approx(1) and max(shares) < 1
        assert -1 <= today.data.metrics[f"{head}_cluster_cosine_0_4"] <= 1
        assert today.data.metrics[f"{head}_clusters_revived"] >= 0
        assert f"{head}_cluster_0_share" in runs[name].data.metrics  # a curve over days
    pictures = {file.path for file in client.list_artifacts(today.info.run_id)}
    assert {f"{head}_cluster_shares_by_day.png" for head in heads} <= pictures
    manifest = read_manifest(run.paths.model(family, name, days[1]), hint="")
    assert set(manifest["clusters"]) == set(heads)


REPORTS = {"ctr": ClusterReport([0.9, 0.1, 0.0], {(0, 1): 0.2, (0, 2): 0.995, (1, 2): -0.5}, [0, 0, 2])}


def test_starved_clusters_are_said_on_the_day(caplog, monkeypatch):
    monkeypatch.setattr(LOGGER, "propagate", True)
    with caplog.at_level(logging.WARNING):
        clusters.warn(REPORTS, model="m", day=START)
    assert [(record.message, record.fields) for record in caplog.records] == [
        ("clusters starved and were revived", {"model": "m", "day": START, "routing": "ctr", "clusters": [2]})
    ]
    caplog.clear()
    clusters.warn({"ctr": ClusterReport([0.5, 0.5], {(0, 1): 0.3}, [0, 0])})
    assert not caplog.records


def test_metrics_are_named_after_the_head_only_where_heads_differ():
    one = clusters.metrics({"shared": ClusterReport([0.75, 0.25], {(0, 1): 0.5}, [0, 3])})
    assert one == {"cluster_0_share": 0.75, "cluster_1_share": 0.25, "cluster_cosine_0_1": 0.5, "clusters_revived": 3}
    assert set(clusters.metrics({**REPORTS, "cvr": REPORTS["ctr"]})) >= {"ctr_cluster_2_share", "cvr_clusters_revived"}


def test_the_picture_has_all_days_that_are_published(settings):
    days = publish_days(settings, 2)
    run = open_ranker(settings, "adaptdhm")
    for day in days:
        train(run, day)
    folders = {day: run.paths.model("ranker", "adaptdhm", day) for day in (*days, days[1] + timedelta(days=1))}
    today = days[1] + timedelta(days=2)
    found = clusters.shares_by_day(folders, today, REPORTS)
    assert list(found) == ["ctr"] and list(found["ctr"]) == ["2026-01-01", "2026-01-02", "2026-01-04"]
    assert found["ctr"]["2026-01-04"] == ([0.9, 0.1, 0.0], [0, 0, 2])
    assert sum(found["ctr"]["2026-01-01"][0]) == pytest.approx(1)
