"""LT4REC Algorithm 1, lines 1 to 10: nested rounds, the best one kept, resumable at any point."""

import json
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise

import pytest
import torch

from conf.errors import InputError
from conf.load import load_model, load_settings
from tests.lakes.samples import publish_days, sample_rows, sizes, write_samples
from tests.lakes.settings import START
from tests.trainer.test_train_day import bits, job
from trainer.models.build import build
from trainer.objectives.build import objective_of
from trainer.parts.mask import Mask
from trainer.parts.routing import ByCluster
from trainer.pruning import store as mask_store
from trainer.pruning.generation import generate
from trainer.pruning.rounds import Pruning, Round, best_round

MODEL = load_model("sparse_weight")
CTR, CVR = objective_of(MODEL, load_settings("conf/demo.toml")).heads


def round_with(number, metric):
    return Round(number, Mask({}), metric, {})


@pytest.mark.parametrize(
    ("task", "metrics", "chosen"),
    [
        (CTR, [0.9, 0.5, 0.7, 0.6], 2),  # higher AUC is better; round 0 is no candidate
        (CVR, [0.1, 0.5, 0.7, 0.6], 1),  # lower MSE is better
        (CTR, [0.9, 0.7, 0.7, 0.7], 1),  # a tie goes to the denser mask
    ],
)
def test_the_best_pruned_round_is_chosen(task, metrics, chosen):
    assert best_round(task, [round_with(n, metric) for n, metric in enumerate(metrics)]).number == chosen


def test_rounds_are_nested_and_prune_their_share_of_mlp_weights_only(settings):
    publish_days(settings, 3, rows=600)
    for task in (CTR, CVR):
        rounds = list(Pruning(settings, MODEL).rounds(task))
        assert [r.number for r in rounds] == [0, 1, 2]
        assert rounds[0].mask.kept == rounds[0].mask.size
        for n, (outer, inner) in enumerate(pairwise(rounds), start=1):
            assert inner.mask.nested_in(outer.mask)
            assert inner.mask.pruned_share == pytest.approx(1 - 0.7**n, abs=2 / inner.mask.size)
        # hidden layers and output, no embedding, no cross
        assert list(rounds[0].mask.layers) == ["layer0", "layer1", "layer2"]


def test_every_round_starts_from_the_same_initial_weights(settings):
    """LT4REC Algorithm 1, line 6: at a learning rate of almost zero, all rounds prune small initial weights."""
    publish_days(settings, 3, rows=300)
    tiny = MODEL.optimiser.model_copy(update={"learning_rate": 1e-12, "embedding_learning_rate": 1e-12})
    frozen = MODEL.model_copy(update={"optimiser": tiny})
    last = list(Pruning(settings, frozen).rounds(CTR))[-1].mask
    initial = build(MODEL, settings, sizes(START)).maskable_weights()
    values = torch.cat([w.abs().flatten() for w in initial.values()])
    kept = torch.cat([layer.flatten() for layer in last.layers.values()])
    assert values[kept].min() >= values[~kept].max()


def test_masks_of_two_tasks_differ_and_are_published_with_their_history(settings):
    publish_days(settings, 3, rows=1500)
    generate(settings, MODEL, "sparse_weight")
    masks, manifest = mask_store.read(mask_store.folder(settings, MODEL), hint="")
    assert set(masks) == {"ctr", "cvr"}
    assert any(not torch.equal(masks["ctr"].layers[n], masks["cvr"].layers[n]) for n in masks["ctr"].layers)
    for task in ("ctr", "cvr"):
        best = manifest["best_round"][task]
        assert manifest["history"][task][best]["pruned_share"] == pytest.approx(masks[task].pruned_share)
        assert [r["round"] for r in manifest["history"][task]] == [0, 1, 2]
    assert not (settings.lake.root / "_rounds").exists() or not list((settings.lake.root / "_rounds").rglob("*.pt"))


def test_finished_rounds_are_not_trained_again(settings):
    publish_days(settings, 3, rows=600)
    pruning = Pruning(settings, MODEL)
    rounds = pruning.rounds(CTR)
    next(rounds)
    next(rounds)
    kept = pruning.paths.mask_rounds("ranker", "v1") / "ctr" / "round=1" / "_MANIFEST.json"
    changed = json.loads(kept.read_text()) | {"metric": 0.123}
    kept.write_text(json.dumps(changed))
    assert [r.metric for r in Pruning(settings, MODEL).rounds(CTR)][1] == 0.123


def test_rounds_of_other_samples_are_repeated(settings):
    days = publish_days(settings, 3, rows=600)
    before = [r.metric for r in Pruning(settings, MODEL).rounds(CTR)]
    write_samples(settings, days[0], sample_rows(settings, days[0], 600, seed=9))
    assert [r.metric for r in Pruning(settings, MODEL).rounds(CTR)] != before


def test_killed_in_the_middle_and_run_again_gives_the_same_bits(settings):
    publish_days(settings, 3, rows=1500)
    assert job("trainer.generate_masks").returncode == 0
    folder = mask_store.folder(settings, MODEL)
    undisturbed = bits(folder)
    shutil.rmtree(folder)
    command = [sys.executable, "-m", "trainer.generate_masks", "--config", "conf/demo.toml"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    kept = settings.lake.root / "_rounds/ranker/v1/ctr/round=1/_MANIFEST.json"
    while not kept.is_file() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not folder.exists()
    again = job("trainer.generate_masks")
    assert again.returncode == 0 and bits(folder) == undisturbed
    assert "masks are published already" in job("trainer.generate_masks").stderr


def test_a_model_without_masks_is_refused(settings):
    done = job("trainer.generate_masks", "--model", "hard")
    assert done.returncode == 2 and "no masks are used by hard" in done.stderr


def test_every_masked_model_of_the_run_file_gets_masks(settings, monkeypatch):
    publish_days(settings, 3, rows=200)
    monkeypatch.setenv("SPARSETAG_RANKER__MODEL", "hard")
    monkeypatch.setenv("SPARSETAG_TAGGER__MODEL", "two_tower_sparse")
    made = job("trainer.generate_masks")
    assert made.returncode == 0, made.stderr
    assert "pruning round 2 of 2 finished  version=v1-two_tower task=interest" in made.stderr
    masks, _ = mask_store.read(settings.lake.root / "masks/tagger/v1-two_tower", hint="")
    assert set(masks) == {"interest", "intention"}
    assert not (settings.lake.root / "masks/ranker").exists()


def test_a_validation_day_of_one_class_is_refused_with_what_to_change(settings):
    days = publish_days(settings, 3, rows=300)
    unclicked = sample_rows(settings, days[2], 300)
    unclicked[["click", "conversion", "converted", "action", "action_defined", "conversion_defined"]] = 0.0
    write_samples(settings, days[2], unclicked)
    with pytest.raises(InputError, match="train_days"):
        generate(settings, MODEL, "sparse_weight")
    assert not mask_store.folder(settings, MODEL).exists()


def test_models_that_differ_in_tasks_alone_find_the_same_masks(settings):
    publish_days(settings, 3, rows=600)
    tuned = load_model("s_weight_tuning")
    assert tuned.objective.tasks["cvr"].conflict and mask_store.folder(settings, tuned) == mask_store.folder(
        settings, MODEL
    )
    generate(settings, tuned, "s_weight_tuning")
    made = bits(mask_store.folder(settings, MODEL))
    shutil.rmtree(mask_store.folder(settings, MODEL))
    generate(settings, MODEL, "sparse_weight")
    assert bits(mask_store.folder(settings, MODEL)) == made


def test_masks_are_found_with_the_clusters_in_place(settings, monkeypatch):
    """Also for CVR alone, whose batches of clicked rows move no centre: all impressions do."""
    publish_days(settings, 3, rows=600)
    model, moved = load_model("sparse_adaptdhm"), []
    observe = ByCluster.observe

    def watched(self, vectors, whole):
        before = self.centres.clone()
        observe(self, vectors, whole)
        moved.append((len(vectors), not torch.equal(before, self.centres)))

    monkeypatch.setattr(ByCluster, "observe", watched)
    generate(settings, model, "sparse_adaptdhm")
    # 2 heads, 3 rounds, 2 days of 600 rows in batches of 128, the last with what is left
    assert [rows for rows, _ in moved] == [128, 128, 128, 128, 88] * 12
    assert all(each for _, each in moved)
    assert set(mask_store.load_for(settings, model)) == {"ctr", "cvr"}


def test_masks_of_other_clusters_are_refused(settings):
    publish_days(settings, 3, rows=300)
    model = load_model("sparse_adaptdhm")
    generate(settings, model, "sparse_adaptdhm")
    more = model.model_copy(update={"domain": model.domain.model_copy(update={"clusters": 6})})
    with pytest.raises(InputError, match=r"masks found with \[domain\] .*'clusters': 5.* but the model has .*6"):
        mask_store.load_for(settings, more)
