"""The main job on the simulated world, through the jobs' own command lines, held against the world's probabilities."""

import shutil
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pyarrow.parquet
import pytest
from sklearn.metrics import roc_auc_score

from conf.load import load_settings
from conf.paths import Paths
from conf.settings.run_file import Settings
from etl.artefact import file_hash, read_manifest, write_manifest
from etl.world.day import truth
from etl.world.day import world_day as day_of_world
from etl.world.parameters import world
from tests.bench.taste import of_tagger
from trainer.evaluation.predictions import read_predictions

CONFIG = "conf/demo.toml"
DAYS = [date(2026, 1, 1) + timedelta(days=n) for n in range(9)]
LAST = DAYS[-1]
# how far the model may stay under the world's own probabilities, and how little noise may lift it above them
SHORT_OF_CEILING, ABOVE_CEILING = 0.02, 0.005


def job(module: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, "--config", CONFIG, *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Nine days of the demo's world: samples as a range, masks, both models, tags of the last day."""
    root = tmp_path_factory.mktemp("pipeline")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARSETAG_LAKE__ROOT", str(root / "lake"))
        patch.setenv("SPARSETAG_TRACKING__URI", f"sqlite:///{root}/mlflow.db")
        job("etl.build_samples", "--from", str(DAYS[0]), "--to", str(LAST))
        job("trainer.generate_masks")
        job("trainer.train_day", "--family", "ranker", "--day", str(LAST))
        job("trainer.train_day", "--family", "tagger", "--day", str(LAST))
        job("etl.build_users", "--day", str(LAST))
        job("tagging.tag_users", "--day", str(LAST))
        yield load_settings(CONFIG)


def ctr_and_ceiling(settings: Settings, run: str, day: date) -> tuple[float, float]:
    """Next-day CTR AUC of a run, and that of the world's own click probabilities on the same rows."""
    predictions = read_predictions(Paths(settings.lake.root).predictions("ranker", run, day))
    known = truth(settings.source, day).assign(click=day_of_world(settings.source, day).click)
    known = known.drop_duplicates("impression_id")
    rows = predictions[predictions["task"] == "ctr"].merge(known, on="impression_id", validate="one_to_one")
    assert len(rows) > 0.99 * settings.source.impressions
    assert (rows["label"] == rows["click"]).all()
    return roc_auc_score(rows["label"], rows["prediction"]), roc_auc_score(rows["label"], rows["p_click"])


def check_against_ceiling(model: float, ceiling: float) -> None:
    assert model > ceiling - SHORT_OF_CEILING, f"AUC {model:.4f} is too far under what can be known, {ceiling:.4f}"
    assert model < ceiling + ABOVE_CEILING, (
        f"AUC {model:.4f} is above what can be known, {ceiling:.4f}: a feature leaks"
    )


def test_ctr_comes_within_002_of_the_worlds_own_probabilities_and_not_above_them(lake):
    for day in DAYS[-3:]:
        model, ceiling = ctr_and_ceiling(lake, "sparse_weight", day)
        print(f"{day}: CTR AUC of the model {model:.4f}, of the world's own probabilities {ceiling:.4f}")
        check_against_ceiling(model, ceiling)


def test_a_label_copied_into_a_feature_is_caught_by_the_ceiling(lake, tmp_path, monkeypatch):
    honest = Paths(lake.lake.root)
    monkeypatch.setenv("SPARSETAG_LAKE__ROOT", str(tmp_path / "lake"))
    leaking = Paths(load_settings(CONFIG).lake.root)
    for day in DAYS[:2]:
        leaking.samples(day).mkdir(parents=True)
        shutil.copytree(honest.vocabulary(day), leaking.vocabulary(day))
        manifest = read_manifest(honest.samples(day), hint="")
        for entry in manifest["files"]:
            path = leaking.samples(day) / entry["name"]
            table = pyarrow.parquet.read_table(honest.samples(day) / entry["name"])
            copied = (table["click"].to_numpy() + 2).astype("int32")
            place = table.schema.get_field_index("f_gender")
            pyarrow.parquet.write_table(table.set_column(place, "f_gender", pyarrow.array(copied)), path)
            entry["sha256"] = file_hash(path)
        write_manifest(leaking.samples(day), manifest)
    job("trainer.train_day", "--family", "ranker", "--model", "hard", "--day", str(DAYS[1]))
    with pytest.raises(AssertionError, match="a feature leaks"):
        check_against_ceiling(*ctr_and_ceiling(load_settings(CONFIG), "hard", DAYS[1]))


def test_every_user_has_tags_for_both_tasks(lake):
    paths = Paths(lake.lake.root)
    users = set(pyarrow.parquet.read_table(paths.users(LAST), columns=["user_id"])["user_id"].to_pylist())
    assert len(users) == lake.source.users
    for task in ("interest", "intention"):
        tags = read_tags(paths.user_tags(LAST, task))
        assert set(tags["user_id"]) == users
        assert (tags.groupby("user_id")["rank"].apply(list).map(lambda ranks: ranks == [1, 2, 3, 4, 5])).all()
        assert tags["score"].between(0, 1).all()


def test_profiles_hold_the_tags_and_audiences_everybody_who_scores_enough(lake):
    paths = Paths(lake.lake.root)
    profiles = read_tags(paths.profiles(LAST)).set_index("user_id")
    assert len(profiles) == lake.source.users
    for task in ("interest", "intention"):
        tags, audience = read_tags(paths.user_tags(LAST, task)), read_tags(paths.audience(LAST, task))
        assert profiles[task].map(len).sum() == len(tags)
        assert audience["score"].min() >= 0.5
        both = tags[tags["score"] >= 0.5].merge(audience, on=["user_id", "tag", "score"])
        assert len(both) == (tags["score"] >= 0.5).sum()


def test_tags_follow_the_taste_that_the_world_gave_its_users(lake):
    """A user's best tag is clicked more than that user's average tag would be."""
    taste = world(lake.source).mean_taste("click")
    tags = read_tags(Paths(lake.lake.root).user_tags(LAST, "interest"))
    best = tags[tags["rank"] == 1]
    users, numbers = best["user_id"].str[1:].astype(int), best["tag"].str[3:].astype(int)
    lift = taste[users, numbers] - taste[users].mean(axis=1)
    assert lift.mean() > 0.3 * taste.std()


@pytest.mark.parametrize(("task", "least"), [("interest", 0.6), ("intention", 0.6)])
def test_scores_of_all_pairs_are_ordered_as_the_taste_of_the_world(lake, task, least):
    """Spearman's rank correlation of score and taste: over the tags of a user, and over the users of a tag."""
    of_users, of_tags = of_tagger(lake, lake.tagger.model, LAST, task)
    print(f"{task}: rank correlation with the world's taste {of_users:.3f} by user, {of_tags:.3f} by tag")
    assert of_users > least and of_tags > least


def test_rows_in_are_rows_out_and_rows_quarantined(lake):
    paths = Paths(lake.lake.root)
    for day in DAYS:
        manifest = read_manifest(paths.samples(day), hint="")
        refused = manifest["quarantined"]["impressions"]
        assert manifest["rows_in"]["impressions"] == manifest["rows"] + sum(refused.values())
        assert {"duplicate", "null key", "wrong day"} <= set(refused)


def read_tags(folder: Path) -> pd.DataFrame:
    return pd.concat([pyarrow.parquet.read_table(path).to_pandas() for path in sorted(folder.glob("*.parquet"))])
