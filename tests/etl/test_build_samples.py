"""The job on the simulated world: what it publishes, a range and its days, kills, repeated runs, refusals."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from conf.errors import InputError
from conf.settings.run_file import Domain, Feature, Lake
from etl import build_samples
from etl.contract import EVENT_TABLES, RAW, labels_of, samples_schema
from etl.samples.statistics import value_statistics
from etl.world.day import world_day
from etl.world.logs import raw_day
from etl.world.parameters import DAY_MS, EPOCH, world
from tests.kill import killed
from tests.lakes import runs
from tests.lakes.tables import hashes

ONE, TWO, THREE = (runs.DAY + timedelta(days=n) for n in range(3))


def test_a_range_gives_the_bytes_of_its_days_one_by_one(spark, built, tmp_path):
    by_day = runs.simulated(tmp_path)
    for day in (ONE, TWO, THREE):
        build_samples.build(by_day, [day])
    found = hashes(by_day.lake.root)
    assert found == hashes(built.lake.root)
    # samples and vocabulary with a manifest each, quarantine of six tables likewise
    assert len(found) == 3 * 2 * (1 + 1 + len(RAW))


def test_samples_have_the_columns_types_and_order_of_the_contract(built):
    assert pq.read_schema(built.lake.root / f"samples/dt={ONE}/part-00000.parquet").equals(samples_schema(built))


def test_rows_in_are_rows_out_and_rows_quarantined_for_every_table_and_day(built):
    for day in (ONE, TWO, THREE):
        manifest = runs.manifest(built, day)
        quarantined = {table: len(runs.quarantine(built, table, day)) for table in RAW}
        assert quarantined == {table: sum(reasons.values()) for table, reasons in manifest["quarantined"].items()}
        assert manifest["rows_in"]["impressions"] == manifest["rows"] + quarantined["impressions"]


def test_every_row_of_the_world_counts_for_the_day_of_its_impression_or_else_its_own(built):
    raw = [raw_day(built.source, ONE + timedelta(days=n)) for n in range(-1, 3)]
    tables = {name: pd.concat([day[name] for day in raw]) for name in EVENT_TABLES}
    shown = tables["impressions"]
    on_its_day = shown["ts"] // DAY_MS == shown["day"].map(lambda day: (day - EPOCH).days)
    usable = shown[on_its_day & shown["user_id"].notna()].drop_duplicates("impression_id")
    home = usable.set_index("impression_id")["day"]
    crossed = 0
    for name, table in tables.items():
        counts_for = table["day"] if name == "impressions" else table["impression_id"].map(home).fillna(table["day"])
        crossed += (counts_for < table["day"]).sum()
        for day in (ONE, TWO, THREE):
            assert runs.manifest(built, day)["rows_in"][name] == (counts_for == day).sum()
    assert crossed > 0  # some events follow their impression after midnight


def test_labels_are_what_happened_in_the_world(built):
    shown = world_day(built.source, TWO)
    truth = pd.DataFrame(
        {"click": shown.click, "action": shown.action, "conversion": shown.conversion}, index=shown.impression_id
    ).astype("float32")
    found = runs.samples(built, TWO)
    assert len(found) > 0.98 * len(truth)
    truth = truth.loc[found.index]
    assert (found["click"] == truth["click"]).all()
    assert (found["action"] == truth["action"]).all()
    defined = found["conversion_defined"] == 1
    assert (found.loc[defined, "conversion"] == truth.loc[defined, "conversion"]).all()
    assert (found.loc[defined, "click"] == 1).all()
    # an undefined label is 0
    for label, defined_by in labels_of(["like", "follow"]).items():
        assert (found.loc[found[defined_by] == 0, label] == 0).all()


def test_kinds_of_action_are_labels_of_their_own_that_make_up_the_action(built):
    found = runs.samples(built, TWO)
    # the world draws one kind for an action: four in five are likes
    assert (found["action_like"] + found["action_follow"] == found["action"]).all()
    assert found["action_like"].sum() > found["action_follow"].sum() > 0
    sums = runs.manifest(built, TWO)["label_sums"]
    assert (sums["action_like"], sums["action_follow"]) == (found["action_like"].sum(), found["action_follow"].sum())


def test_samples_have_the_numbers_of_numeric_features_and_the_manifest_their_mean_and_deviation(built):
    found = runs.samples(built, TWO)
    length = world(built.source).items.set_index("item_id")["duration_s"]
    values = found["item_id"].map(length).astype("float32")
    assert (found["v_duration_s"] == values).all()
    statistics = runs.manifest(built, TWO)["values"]
    assert statistics == {"duration_s": {"defined": len(found), "mean": pytest.approx(values.astype(float).mean()),
                                   "std": pytest.approx(values.astype(float).std(ddof=0))}}  # fmt: skip


def test_mean_and_deviation_are_of_the_rows_that_have_a_value(tmp_path):
    chosen = [Feature(name=name, table="items", kind="numeric", boundaries=[1]) for name in ("length", "price")]
    chosen.append(Feature(name="age", table="users"))
    # in two files: 1, 2, 6 have mean 3 and squared distances 4, 1, 9; no row has a price
    for n, length in enumerate([[1.0, float("nan")], [2.0, 6.0]]):
        table = {"v_length": length, "v_price": [float("nan")] * 2}
        pd.DataFrame(table).astype("float32").to_parquet(tmp_path / f"part-{n:05d}.parquet")
    assert value_statistics(tmp_path, chosen) == {
        "length": {"defined": 3, "mean": 3.0, "std": pytest.approx((14 / 3) ** 0.5)},
        "price": {"defined": 0, "mean": None, "std": None},
    }


def test_ids_are_those_of_the_days_vocabulary_and_never_change(built):
    users = None
    for day in (ONE, TWO, THREE):
        vocabulary = runs.vocabulary(built, day)
        ids = vocabulary[vocabulary.feature == "user_id"].set_index("value")["id"].dropna().astype(int)
        found = runs.samples(built, day)
        assert (found["f_user_id"] == found["user_id"].map(ids).fillna(1)).all()
        assert users is None or ids.loc[users.index].equals(users)
        users = ids
    assert sorted(users) == list(range(2, len(users) + 2))
    assert runs.manifest(built, THREE)["vocabulary"]["user_id"] == len(users) + 2


@pytest.mark.parametrize("name", ["age", "duration_s"])
def test_the_domain_of_a_sample_is_the_value_of_the_feature_that_the_run_file_names(spark, built, tmp_path, name):
    settings = built.model_copy(update={"domain": Domain(feature=name), "lake": Lake(root=tmp_path)})
    build_samples.build(settings, [ONE])
    found, before = runs.samples(settings, ONE), runs.samples(built, ONE)
    hidden = world(built.source)
    if name == "age":
        assert (found["domain"] == found["user_id"].map(hidden.users.set_index("user_id")["age"])).all()
    else:
        numbers = {"< 10": 2, "10 to < 60": 3, ">= 60": 4}
        assert (found["f_duration_s"] == found["domain"].map(numbers)).all()
    assert found.drop(columns="domain").equals(before.drop(columns="domain"))
    assert set(before["domain"]) == {"d0", "d1", "d2"}
    with pytest.raises(InputError, match=r"was built with other settings of source, .*domain"):
        build_samples.build(settings.model_copy(update={"domain": Domain()}), [ONE])


def test_a_vocabulary_counts_the_impressions_of_samples_up_to_its_day(built):
    seen = pd.concat([runs.samples(built, day) for day in (ONE, TWO)])["item_id"].value_counts()
    vocabulary = runs.vocabulary(built, TWO)
    items = vocabulary[vocabulary.feature == "item_id"].set_index("value")
    assert items["count"].to_dict() == seen.to_dict()
    assert (items["id"].notna() == (items["count"] >= 2)).all()


def test_rows_lie_in_the_order_of_their_hash_not_of_time(spark, built):
    found = list(runs.samples(built, ONE).index)
    keyed = spark.createDataFrame([(i,) for i in found], "i string").selectExpr("i", "xxhash64(i) as h").collect()
    assert found == [row.i for row in sorted(keyed, key=lambda row: (row.h, row.i))]


def test_a_second_run_skips_and_a_forced_one_writes_the_same_bytes(spark, built, caplog):
    before = hashes(built.lake.root)
    caplog.set_level("INFO", "sparsetag")
    build_samples.build(built, [ONE, TWO])
    assert caplog.messages == ["samples are published already"] * 2
    build_samples.build(built, [TWO], force=True)
    assert hashes(built.lake.root) == before


def test_a_day_built_with_other_settings_is_refused(spark, built):
    other = built.model_copy(update={"labels": built.labels.model_copy(update={"conversion_threshold": 0.9})})
    with pytest.raises(InputError, match="was built with other settings"):
        build_samples.build(other, [ONE])


def test_a_vocabulary_that_later_days_continue_cannot_change(spark, built):
    before = hashes(built.lake.root)
    other = built.model_copy(update={"source": built.source.model_copy(update={"seed": 9})})
    with pytest.raises(InputError, match="the vocabulary of 2026-03-03 would change, and later days continue it"):
        build_samples.build(other, [ONE, TWO], force=True)
    assert hashes(built.lake.root) == before


def two_days(root: Path) -> None:
    build_samples.build(runs.simulated(root), [ONE, TWO])


@pytest.mark.parametrize(
    ("place", "after", "done"),
    [
        # while writing; and while publishing, at the last of the eight tables of the second day
        ("etl.samples.build_range:write_samples", 1, []),
        ("etl.samples.publishing:describe_files", 8 + 8, [ONE]),
    ],
)
def test_killed_and_run_again_gives_the_bytes_of_an_undisturbed_run(spark, built, tmp_path, place, after, done):
    killed(two_days, tmp_path, place, after)
    lake = tmp_path / "lake"
    assert sorted(p.name for p in lake.glob("samples/*")) == [f"dt={day}" for day in done]
    for folder in {file.parent for file in lake.rglob("*.parquet") if "_staging" not in file.parts}:
        assert (folder / "_MANIFEST.json").is_file(), f"{folder} is incomplete"
    two_days(tmp_path)
    undisturbed = {k: v for k, v in hashes(built.lake.root).items() if str(THREE) not in k}
    assert hashes(lake) == undisturbed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--day", "1999-12-31"], "lies before [training] start"),
        (["--from", "2026-01-02", "--to", "2026-01-01"], "swap them"),
        (["--day", "2026-01-02"], "build the days before first"),
        (["--day", "../etc"], "is not a day; write YYYY-MM-DD"),
    ],
)
def test_the_command_refuses_in_one_line_and_exits_with_2(tmp_path, monkeypatch, arguments, message):
    monkeypatch.setenv("SPARSETAG_LAKE__ROOT", str(tmp_path / "lake"))
    command = [sys.executable, "-m", "etl.build_samples", "--config", "conf/demo.toml", *arguments]
    ended = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert message in ended.stderr.splitlines()[-1]
    assert not (tmp_path / "lake").exists()
