"""Numeric features as numbers: tanh((v - mean) / std), ESM2 eq. 17."""

import json
from dataclasses import replace

import pytest
import torch

from conf.errors import InputError
from conf.load import load_model
from conf.paths import Paths
from conf.settings.model_file import RankerModel
from conf.settings.run_file import Feature
from etl.artefact import read_manifest
from tests.lakes.samples import publish_days, sample_rows, sizes
from tests.lakes.settings import START
from trainer.daily.open import open_run
from trainer.daily.train import train
from trainer.data.batch import Batch
from trainer.data.layout import Layout
from trainer.data.reader import read
from trainer.evaluation.predict import predict
from trainer.models.build import mask_shapes
from trainer.models.build import ranker as build_ranker
from trainer.models.ranker import input_width
from trainer.parts.numbers import Numbers
from trainer.pruning import store as mask_store
from trainer.pruning.generation import generate

NAN = float("nan")
FEATURES = [
    Feature(name="age", table="users"),
    *(Feature(name=n, table="items", kind="numeric", boundaries=[1]) for n in ("length", "price")),
]


def numbers(**statistics):
    made = Numbers(FEATURES)
    made.scale({name: dict(zip(("mean", "std"), pair, strict=True)) for name, pair in statistics.items()})
    return made


def test_a_number_is_the_tanh_of_its_distance_from_the_mean_in_deviations():
    found = numbers(length=(10.0, 4.0), price=(-1.0, 0.5))(torch.tensor([[10.0, -1.0], [14.0, -0.75], [2.0, -2.0]]))
    tanh = {1: 0.7615942, 0.5: 0.4621172, 2: 0.9640276}
    expected = torch.tensor([[0, 0], [tanh[1], tanh[0.5]], [-tanh[2], -tanh[2]]])
    torch.testing.assert_close(found, expected)


def test_a_missing_number_is_zero_and_changes_no_other():
    found = numbers(length=(10.0, 4.0), price=(3.0, 1.0))(torch.tensor([[NAN, 4.0], [14.0, NAN]]))
    torch.testing.assert_close(found, torch.tensor([[0, 0.7615942], [0.7615942, 0]]))


def test_a_first_day_without_values_or_without_spread_still_gives_numbers():
    found = numbers(length=(None, None), price=(5.0, 0.0))(torch.tensor([[1.0, 5.0], [NAN, 6.0]]))
    torch.testing.assert_close(found, torch.tensor([[0.7615942, 0], [0, 0.7615942]]))


def test_without_mean_and_deviation_every_output_is_nan():
    assert Numbers(FEATURES)(torch.tensor([[1.0, 2.0]])).isnan().all()


@pytest.fixture
def tanh(settings):
    model = load_model("esm2_tanh")
    assert isinstance(model, RankerModel)
    ranker = build_ranker(model, settings, sizes(START))
    ranker.scale({"duration_s": {"mean": 60.0, "std": 30.0}})
    return ranker.eval()


def test_the_number_takes_the_place_of_the_buckets_embedding(settings, tanh):
    known, model = sizes(START), load_model("esm2_tanh")
    embedded = sum(size for name, size in known.items() if name != "duration_s")
    assert tanh.embeddings["shared"].table.shape == (embedded, 16)
    # 9 embedded features, the 10 pairs of the 5 crossed ones, each of 16; and one number
    assert input_width(model, Layout.of(settings.features)) == (9 + 10) * 16 + 1
    ids = torch.ones(3, 12, dtype=torch.int64)  # the tag has three columns
    batch = Batch(ids, {}, {}, torch.tensor([[60.0], [90.0], [NAN]]))
    logits = tanh.logits(batch, ["ctr"])["ctr"]
    assert logits[0] != logits[1] and logits[0] == logits[2]  # missing is the mean
    duration, age = ids.clone(), ids.clone()
    duration[:, 9], age[:, 1] = 4, 4
    assert torch.equal(tanh.logits(replace(batch, ids=duration), ["ctr"])["ctr"], logits)
    assert not torch.equal(tanh.logits(replace(batch, ids=age), ["ctr"])["ctr"], logits)


def test_the_network_sees_the_number_itself(tanh):
    seen = []
    tanh.network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    tanh.logits(Batch(torch.ones(2, 12, dtype=torch.int64), {}, {}, torch.tensor([[90.0], [0.0]])), ["ctr"])
    torch.testing.assert_close(seen[0][:, -1], torch.tensor([0.7615942, -0.9640276]))


def test_a_row_arrives_with_its_own_number(settings):
    (day,) = publish_days(settings, 1, rows=900)
    expected = sample_rows(settings, day, 900).set_index("impression_id")["v_duration_s"]
    assert expected.isna().any()
    folder, layout = Paths(settings.lake.root).samples(day), Layout.of(settings.features)
    for batch in read(folder, layout, keys=["impression_id"], values=["v_duration_s"], shuffle_seed=5):
        own = torch.tensor(expected.loc[batch.keys["impression_id"]].to_numpy(), dtype=torch.float32).unsqueeze(1)
        torch.testing.assert_close(batch.values, own, equal_nan=True, rtol=0, atol=0)
        torch.testing.assert_close(batch.rows(batch.ids[:, 0] > 9).values, own[batch.ids[:, 0] > 9], equal_nan=True)
    assert next(iter(read(folder, layout))).values.shape == (400, 0)
    with pytest.raises(InputError, match="column v_price is missing"):
        list(read(folder, layout, values=["v_price"]))


def test_every_day_reads_numbers_by_the_mean_and_deviation_of_the_first(settings):
    days = publish_days(settings, 3, rows=600)
    told = [read_manifest(Paths(settings.lake.root).samples(day), hint="")["values"]["duration_s"] for day in days]
    assert told[0]["mean"] != told[1]["mean"]
    run = open_run(settings, "ranker", "esm2_tanh")
    for day in days:
        train(run, day)
        kept = run.load(day).weights
        assert kept["numbers.mean"].item() == pytest.approx(told[0]["mean"])
        assert kept["numbers.std"].item() == pytest.approx(told[0]["std"])
    model, folder = run.load_model(days[1]), run.paths.samples(days[2])
    predictions = predict(model, run.objective, folder, run.layout, run.device)
    published = run.load(days[2]).manifest["metrics"]
    assert len(predictions) == 4 * 600 and published["ctr"]["auc"] > 0.5


def test_samples_without_a_mean_are_refused(settings):
    (day,) = publish_days(settings, 1, rows=100)
    place = Paths(settings.lake.root).samples(day) / "_MANIFEST.json"
    manifest = json.loads(place.read_text())
    del manifest["values"]
    place.write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"dt=2026-01-01: the manifest lacks the mean.*--force"):
        train(open_run(settings, "ranker", "esm2_tanh"), day)


def test_masks_cover_numeric_inputs_too(settings):
    publish_days(settings, 3, rows=400)
    plain = load_model("sparse_weight")
    tanh = plain.embedding.model_copy(update={"numeric": "tanh"})
    own_masks = plain.sharing.model_copy(update={"masks": "tanh"})
    model = plain.model_copy(update={"embedding": tanh, "sharing": own_masks})
    generate(settings, model, "sparse_weight")
    masks = mask_store.load_for(settings, model)
    assert mask_shapes(model, settings)["layer0"] == [128, 19 * 16 + 1] == list(masks["ctr"].layers["layer0"].shape)
