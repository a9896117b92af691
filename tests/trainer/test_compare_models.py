"""The comparison: figures by hand, resumable training, undefined as a word, and MLflow runs to compare."""

import json
import shutil
import sys
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conf.load import load_settings
from conf.paths import Paths
from conf.refusal import Refusal
from conf.settings import Lake, Tracking
from etl.publish import read_manifest
from tests.kill import killed
from tests.trainer.tables import START, publish_days, sample_rows, write_samples
from tests.trainer.test_tracking import artifacts, runs_of
from tests.trainer.test_train_day import bits
from trainer import comparison_report
from trainer.compare_models import compare, main
from trainer.comparison import (
    Asked,
    Compared,
    Difference,
    RunValues,
    Spread,
    activity_groups,
    compared,
    mean_of_earlier,
    rank_values,
    target_and_metric,
    values_of,
)
from trainer.predict import read_predictions
from trainer.rankscore import Rankscore, value_of_top
from trainer.truth import read_truth

DAYS = [str(START + timedelta(days=n)) for n in range(4)]


def values(*by_day):
    """RunValues with one metric by day; pooled is their mean."""
    known = [value for value in by_day if value is not None]
    days = {f"2026-01-0{n + 2}": {"ctr_auc": value} for n, value in enumerate(by_day)}
    return RunValues({"ctr_auc": float(np.mean(known)) if known else None}, days, {}, {})


def test_spread_difference_and_paired_test_by_hand():
    # differences by seed and day: .1 .3 | .2 .2: mean .2, sd sqrt(.02 / 3), t = .2 / (sd / 2) = 4.899 on 3 degrees
    base = [values(0.5, 0.4), values(0.5, 0.6)]
    found = compared([values(0.6, 0.7), values(0.7, 0.8)], base, "ranker")
    assert found.spreads["ctr_auc"].mean == pytest.approx(0.7)  # seeds .65 and .75
    assert found.spreads["ctr_auc"].sd == pytest.approx(0.1 / 2**0.5)
    assert found.differences["ctr_auc"].value == pytest.approx(0.2)
    assert found.differences["ctr_auc"].pairs == 4
    assert found.differences["ctr_auc"].p == pytest.approx(0.01628, abs=1e-5)  # t table, two-sided


def test_a_pair_needs_both_sides_and_a_single_or_equal_one_has_no_p():
    base = [values(0.5, None)]
    assert compared([values(0.6, 0.7)], base, "ranker").differences["ctr_auc"] == Difference(
        pytest.approx(0.15), None, 1
    )
    assert compared(base, base, "ranker").differences["ctr_auc"].p is None
    assert compared([values(None, None)], base, "ranker").spreads["ctr_auc"] == Spread(None, None)
    assert compared([values(None, None)], base, "ranker").differences["ctr_auc"] == Difference(None, None, 0)


def test_the_top_of_each_users_day_by_hand():
    # user a has 11 impressions on a day, so 2 at the top (a tenth, rounded up); b has 1
    rows = pd.DataFrame({
        "user_id": ["a"] * 11 + ["b"], "day": "d", "ctr": 0.5, "cvr": [0.1] * 9 + [0.9, 0.8, 0.3],
        "value": [0.0] * 9 + [1.0, 0.4, 0.2], "length": [100.0] * 9 + [1.0, 1.0, 5.0],
    })  # fmt: skip
    assert value_of_top(rows, Rankscore()) == pytest.approx((1.0 + 0.4 + 0.2) / 3)
    assert value_of_top(rows, Rankscore(c=1.0, length="x")) == pytest.approx((0.0 + 0.0 + 0.2) / 3)
    assert value_of_top(rows.assign(ctr=[0.5] * 9 + [0.1, 0.1, 0.3]), Rankscore(b=0.0)) == pytest.approx(0.2 / 3)
    assert value_of_top(rows.head(10), Rankscore()) == 1.0  # a tenth of 10 is 1
    two_days = rows.head(10).assign(day=["d"] * 4 + ["e"] * 6, value=[0.7] * 4 + [0.1] * 5 + [1.0])
    assert value_of_top(two_days, Rankscore()) == pytest.approx((0.7 + 1.0) / 2)  # one of each day
    assert value_of_top(rows.head(0), Rankscore()) is None
    assert value_of_top(rows.tail(1).assign(value=np.nan), Rankscore()) is None
    unknown = rows.assign(length=[np.nan] + [1.0] * 11, value=[9.0] * 9 + [1.0, 0.4, 0.2])
    assert value_of_top(unknown, Rankscore(b=0.0, c=1.0, length="x")) == pytest.approx((9.0 + 9.0 + 0.2) / 3)
    assert value_of_top(unknown.assign(value=[8.0] + [0.0] * 11), Rankscore(b=0.0, c=1.0, length="x")) == 0  # last


def test_users_are_grouped_by_quartiles_of_their_impressions():
    counts = {"a": 1, "b": 1, "c": 2, "d": 3, "e": 3, "f": 5, "g": 9, "h": 20}
    users = [user for user, count in counts.items() for _ in range(count)]
    frame = pd.DataFrame({"user_id": [*users, *users], "task": ["ctr"] * len(users) + ["cvr"] * len(users)})
    groups = activity_groups(frame, "ctr")
    assert {group: sorted(u for u in groups if groups[u] == group) for group in groups.values()} == {
        "1: 1 to 1 impressions": ["a", "b"],
        "2: 2 to 3 impressions": ["c", "d", "e"],
        "3: 5 to 5 impressions": ["f"],
        "4: 9 to 20 impressions": ["g", "h"],
    }


def test_the_mean_of_earlier_days_is_what_is_predicted():
    earlier = pd.DataFrame({"conversion": [0.2, 0.6]})
    assert mean_of_earlier(earlier, pd.DataFrame({"conversion": [0.0, 1.0]}), "conversion") == pytest.approx(0.26)


def test_names_of_metrics_come_apart_where_targets_have_underscores():
    assert target_and_metric("ctr_gauc_equal") == ("ctr", "gauc_equal")
    assert target_and_metric("interest_ndcg_at_10") == ("interest", "ndcg_at_10")
    assert target_and_metric("add_to_cart_auc") == ("add_to_cart", "auc")
    in_length = "rankscore_value_of_top_with_base_ctr_in_length"
    assert target_and_metric(in_length) == ("rankscore", "value_of_top_with_base_ctr_in_length")
    assert target_and_metric("ctcvr_f1_top0.1") == ("ctcvr", "f1_top0.1")


def test_what_is_undefined_is_a_word():
    asked = Asked("ranker", ["a"], "a", 1, date(2026, 1, 2), date(2026, 1, 3), Rankscore())
    of_none = compared([values(None, None)], [values(None, None)], "ranker")
    text = comparison_report.markdown(asked, {"a": of_none}, 0, comparison_report.notes_on_rankers(asked, None))
    assert "| a | undefined |" in text and "cvr mse undefined" in text and "nan" not in text.lower()


def test_a_cell_by_hand():
    def line(difference, *, other_label=False):
        spreads = {"cvr_mse": Spread(0.09, 0.001), "ctr_auc": Spread(0.7, None)}
        return Compared(other_label, spreads, {"cvr_mse": difference} if difference else {})

    asked = Asked("ranker", ["a", "b"], "a", 2, date(2026, 1, 2), date(2026, 1, 3), Rankscore())
    models = {
        "a": line(Difference(0.0, None, 4)),
        "b": line(Difference(-0.01, 0.0312, 4)),
        "c": line(None, other_label=True),
    }
    models["c"].spreads["like_auc"] = Spread(0.6, 0.1)
    text = comparison_report.markdown(asked, models, 5000, comparison_report.notes_on_rankers(asked, 0.1234))
    assert "| a | 0.0900 ± 0.0010 |\n| b | 0.0900 ± 0.0010 (-0.0100, -10.00%, p 0.031) |\n" in text
    assert "| c † | 0.0900 ± 0.0010 |\n" in text
    assert "## like\n\n| model | auc |\n|---|---|\n| a | - |\n| b | - |\n| c † | 0.6000 ± 0.1000 |" in text
    assert text.index("## ctr\n") < text.index("## cvr\n") < text.index("## like\n")
    assert "5,000 impressions" in text and "cvr mse 0.1234" in text


@pytest.fixture
def job(settings, monkeypatch):
    """Runs the job; gives the folder of the comparison."""

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
    said = capsys.readouterr().out
    assert "comparison: dnn, seed 0: 4 of 4 left" in said and "comparison: sparse_weight, seed 1: 1 of 4 left" in said
    found = json.loads((job.folder / "comparison.json").read_text())
    assert list(found["models"]) == ["dnn", "sparse_weight"]
    assert found["rows"] == 2000 and found["test"] == "scipy.stats.ttest_rel"

    runs = ["sparse_weight", "sparse_weight-seed1"]
    frames = [pd.concat(_predicted(settings, run)) for run in runs]
    of_cvr = [frame[(frame["task"] == "cvr") & (frame["defined"] > 0)] for frame in frames]
    errors = [float(((f["prediction"] - f["label"]) ** 2).mean()) for f in of_cvr]
    sparse = found["models"]["sparse_weight"]
    assert sparse["spreads"]["cvr_mse"]["mean"] == pytest.approx(np.mean(errors), rel=1e-6)
    assert sparse["spreads"]["cvr_mse"]["sd"] == pytest.approx(np.std(errors, ddof=1), rel=1e-4)
    assert sparse["differences"]["ctr_auc"]["pairs"] == 4
    by_day = [sparse["by_day"][day]["cvr_mse"]["mean"] for day in DAYS[2:]]
    rows = [sum(len(f[f["impression_id"].str.startswith(day)]) for f in of_cvr) for day in DAYS[2:]]
    assert sparse["by_day"].keys() == set(DAYS[2:])
    assert np.average(by_day, weights=rows) == pytest.approx(np.mean(errors), rel=1e-6)
    # another label: what sparse_weight misses is not what dnn misses; the order is of the same yes or no
    assert "cvr_mse" not in sparse["differences"] and "cvr_auc" in sparse["differences"]
    assert set(sparse["by_domain"]) == {"d1", "d2", "d3", "d4"} and len(sparse["by_activity"]) == 4

    made = [sample_rows(settings, date.fromisoformat(day), 1000) for day in DAYS]
    mean = pd.concat(made[:2]).query("click == 1")["converted"].mean()
    missed = (pd.concat(made[2:]).query("click == 1")["converted"] - mean) ** 2
    assert found["predicting_the_mean"]["cvr_mse"] == pytest.approx(missed.mean(), rel=1e-6)

    text = (job.folder / "comparison.md").read_text()
    assert "## ctcvr, top rows" in text and "| sparse_weight † | 0." in text and "nan" not in text.lower()
    logged = runs_of(settings, "comparison")
    assert set(logged) == {"models", "models sparse_weight", "models dnn"}
    run = logged["models sparse_weight"]
    assert run.data.params["sharing"] == "sparse_weight" and run.data.params["seeds"] == "2"
    assert run.data.metrics["cvr_mse"] == pytest.approx(np.mean(errors), rel=1e-6)
    assert run.data.metrics["cvr_mse_sd"] == pytest.approx(np.std(errors, ddof=1), rel=1e-4)
    assert {
        "comparison.md",
        "ctr_auc_by_model.png",
        "rankscore_value_of_top_by_model.png",
        "ctr_auc_by_activity.png",
    } <= artifacts(settings, logged["models"])

    before = bits(settings.lake.root)
    job("--models", "sparse_weight", "--base", "dnn", "--seeds", "2")
    assert "nothing to do" in capsys.readouterr().out
    with pytest.raises(Refusal, match="other models, seeds or days"):
        job("--models", "sparse_weight", "--seeds", "2")
    # killed in its last hours: the table and a model are missing, the rest is taken as it is
    for lost in (job.folder, Paths(settings.lake.root).model("ranker", "dnn-seed1", date.fromisoformat(DAYS[3]))):
        shutil.rmtree(lost)
    capsys.readouterr()
    job("--models", "sparse_weight", "--base", "dnn", "--seeds", "2")
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines() if " rows in " in line] == [
        f"ranker dnn-seed1 {DAYS[3]}"
    ]
    assert bits(settings.lake.root) == before
    assert set(runs_of(settings, "comparison")) == set(logged)


def _predicted(settings, run):
    paths = Paths(settings.lake.root)
    return [read_predictions(paths.predictions("ranker", run, date.fromisoformat(day))) for day in DAYS[2:]]


def two_models(root: Path) -> None:
    settings = load_settings("conf/demo.toml").model_copy(
        update={"lake": Lake(root=root / "lake"), "tracking": Tracking(uri=f"sqlite:///{root}/mlflow.db")}
    )
    asked = Asked("ranker", ["single", "hard"], "single", 1, date(2026, 1, 2), date(2026, 1, 3), Rankscore())
    compare(settings, asked, "models")


def test_killed_twice_and_run_again_gives_the_bytes_of_an_undisturbed_run(tmp_path):
    lakes = [tmp_path / name for name in ("undisturbed", "killed")]
    for lake in lakes:
        lake.mkdir()
        settings = load_settings("conf/demo.toml").model_copy(update={"lake": Lake(root=lake / "lake")})
        publish_days(settings, 3, rows=300)
    two_models(lakes[0])
    # the second model's second of three days is trained and not yet published
    killed(two_models, lakes[1], "trainer.checkpoint:save", 5)
    assert not (lakes[1] / "lake" / "comparisons").exists()
    # everything is logged and the table is written, but not published
    killed(two_models, lakes[1], "trainer.comparison_run:write_manifest", 1)
    assert not (lakes[1] / "lake" / "comparisons").exists()
    two_models(lakes[1])
    undisturbed, after = (bits(lake / "lake" / "comparisons" / "models") for lake in lakes)
    assert undisturbed and after == undisturbed
    settings = load_settings("conf/demo.toml").model_copy(
        update={"tracking": Tracking(uri=f"sqlite:///{lakes[1]}/mlflow.db")}
    )
    assert set(runs_of(settings, "comparison")) == {"models", "models single", "models hard"}


def test_a_day_without_any_conversion_and_a_domain_of_one_class_are_undefined_and_training_goes_on(settings, job):
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
        read_manifest(Paths(settings.lake.root).model("ranker", "esm2", days[3]), remedy="")["losses"]["entire_space"]
        > 0
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
def test_what_cannot_be_compared_is_refused_before_any_work(settings, job, arguments, match):
    with pytest.raises(Refusal, match=match):
        job(*arguments)
    assert not settings.lake.root.exists()


@pytest.mark.parametrize("arguments", [["--seeds", "0"], ["--seeds", "21"], ["--seeds", "x"], ["--name", "../x"]])
def test_what_is_no_number_of_seeds_and_no_name_ends_with_exit_code_2(job, arguments):
    with pytest.raises(SystemExit) as ended:
        job("--models", "hard", *arguments)
    assert ended.value.code == 2


def test_truth_is_what_was_watched_and_leaves_out_what_is_not_known(settings):
    rows = sample_rows(settings, START, 4)
    rows["click"] = [1.0, 1.0, 0.0, 0.0]
    rows["conversion"] = [0.7, 0.0, 0.0, 0.9]
    rows["conversion_defined"] = [1.0, 0.0, 0.0, 0.0]
    write_samples(settings, START, rows)
    truth = read_truth(Paths(settings.lake.root), [START])
    assert truth["impression_id"].tolist() == [f"{START}-00000{n}" for n in (0, 2, 3)]
    assert truth["value"].tolist() == pytest.approx([0.7, 0, 0])
    assert truth["clicked"].tolist() == [True, False, False]
    with_length = read_truth(Paths(settings.lake.root), [START], "duration_s")
    assert with_length["length"].tolist() == pytest.approx(rows["v_duration_s"][[0, 2, 3]].tolist(), nan_ok=True)
    with pytest.raises(Refusal, match="column v_depth is missing"):
        read_truth(Paths(settings.lake.root), [START], "depth")


def of_run(rows, base_ctr, truth, score) -> RunValues:
    return values_of(rows, {"u": "all"}, "ranker", *rank_values(rows, base_ctr, truth, score))


def test_rows_whose_conversion_is_not_known_count_for_click_and_not_for_the_top():
    rows = pd.DataFrame({
        "impression_id": ["1", "2", "1", "2", "1", "2"], "user_id": "u", "item_id": "i", "domain": "d", "day": "d",
        "task": ["ctr", "ctr", "cvr", "cvr", "ctcvr", "ctcvr"], "label": [1.0, 0, 0.5, 0, 0.5, 0],
        "positive": [1.0, 0, 1, 0, 1, 0], "defined": [1.0, 1, 1, 0, 1, 1], "prediction": [0.9, 0.8, 0.7, 0.9, 0.6, 0.7],
    })  # fmt: skip
    truth = pd.DataFrame({"day": ["d"], "impression_id": ["1"], "value": [0.5]})
    base_ctr = pd.DataFrame({"day": ["d"] * 2, "impression_id": ["1", "2"], "base_ctr": [0.5, 0.5]})
    found = of_run(rows, base_ctr, truth, Rankscore())
    assert found.pooled["ctr_auc"] == 1 and found.pooled["ctcvr_auc"] == 0 and found.pooled["cvr_auc"] is None
    assert found.pooled["cvr_mse"] == pytest.approx(0.04)  # an unclicked row is no row of CVR
    assert found.pooled["rankscore_value_of_top"] == 0.5
    # with both known, the model's own scores put the first on top, and its cvr behind the base's ctr the second
    truth = pd.DataFrame({"day": ["d"] * 2, "impression_id": ["1", "2"], "value": [0.5, 0.25]})
    found = of_run(rows, base_ctr.assign(base_ctr=[0.1, 0.9]), truth, Rankscore(b=0.1))
    assert found.pooled["rankscore_value_of_top"] == 0.5
    assert (
        found.pooled["rankscore_value_of_top_with_base_ctr"]
        == found.by_day["d"]["rankscore_value_of_top_with_base_ctr"]
        == 0.25
    )
    assert "rankscore_value_of_top_in_length" not in found.pooled
    # 0.5 of 20 seconds and 0.25 of 60
    known = truth.assign(length=[20.0, 60.0])
    found = of_run(rows, base_ctr.assign(base_ctr=[0.1, 0.9]), known, Rankscore(b=0.1))
    assert found.pooled["rankscore_value_of_top_in_length"] == 10
    assert found.pooled["rankscore_value_of_top_with_base_ctr_in_length"] == 15
    assert set(found.by_day) == {"d"} and set(found.by_activity) == {"all"}
    # .9 * .7 = .63 and .8 * .9 = .72: the second on top, of both days
    two = [pd.concat([frame, frame.assign(day="e")]) for frame in (rows, base_ctr)]
    found = of_run(*two, pd.concat([truth, truth.assign(day="e", value=0.0)]), Rankscore())
    assert {day: values["rankscore_value_of_top"] for day, values in found.by_day.items()} == {"d": 0.25, "e": 0.0}
    assert found.pooled["rankscore_value_of_top"] == 0.125
