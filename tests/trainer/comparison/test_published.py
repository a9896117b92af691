"""Tables, JSON and MLflow names of a small comparison, frozen in tests/golden/comparison."""

import json
from datetime import date
from pathlib import Path

import pytest

from conf.load import load_model
from tests.trainer.comparison import example
from tests.trainer.tracking.test_mlflow_runs import artifacts, runs_of
from trainer.comparison import publication, report, tracking
from trainer.comparison.differences import ModelComparison, compare_with_base
from trainer.comparison.intervals import Resamples
from trainer.comparison.outcomes import mse_of_mean
from trainer.comparison.rankscore import Rankscore, ctr_predictions, rank_metrics
from trainer.comparison.request import Request
from trainer.comparison.run_metrics import activity_groups, run_metrics
from trainer.comparison.traffic import traffic_of
from trainer.evaluation.metrics import MetricName

# some pairs of this small example are nearly equal
pytestmark = pytest.mark.filterwarnings("ignore:Precision loss:RuntimeWarning")

GOLDEN = Path("tests/golden/comparison")
SEEDS, DAYS = range(2), (date(2026, 1, 2), date(2026, 1, 3))
RANKERS = {  # tasks, and how much of the label their predictions hold
    "single": (("ctr", "cvr", "ctcvr"), 0.2),
    "esmm": (("ctr", "cvr", "ctcvr", "like"), 0.4),
    "gbdt": (("ctr", "cvr", "ctcvr"), 0.3),
}
TAGGERS = {"two_tower": 0.2, "mvke": 0.4}
TAG_METRICS = [
    MetricName(task, f"{metric}_at_{k}")
    for task in ("interest", "intention")
    for metric in ("ndcg", "hit_rate")
    for k in (5, 10)
]


def rounded(text: str) -> str:
    """JSON with its order, and floats to 12 digits: another machine may sum in another order."""
    return json.dumps(json.loads(text, parse_float=lambda number: float(f"{float(number):.12g}")), indent=1)


def assert_published(settings, request, comparisons, notes, **more):
    traffic = traffic_of(example.impressions().assign(click_defined=1.0))
    table = report.markdown(request, comparisons, traffic, notes)
    content = publication.as_json(request, comparisons, traffic) | more
    assert table == (GOLDEN / f"{request.name}.md").read_text()
    assert rounded(json.dumps(content)) == rounded((GOLDEN / f"{request.name}.json").read_text())
    tracking.log(settings, request, {name: load_model(name) for name in request.models}, comparisons, traffic, table)
    runs = runs_of(settings, "comparison")
    logged = {
        name: {"metrics": dict(sorted(run.data.metrics.items())), "artifacts": sorted(artifacts(settings, run))}
        for name, run in sorted(runs.items())
    }
    assert rounded(json.dumps(logged)) == rounded((GOLDEN / f"{request.name}_mlflow.json").read_text())


def ranker_comparisons(score: Rankscore) -> dict[str, ModelComparison]:
    predictions = {
        name: [example.predictions(tasks, number, seed, quality) for seed in SEEDS]
        for number, (name, (tasks, quality)) in enumerate(RANKERS.items())
    }
    base_ctr = [ctr_predictions(frame) for frame in predictions["single"]]
    users, outcomes = base_ctr[0]["user_id"], example.outcomes()
    activity, resamples = activity_groups(users), Resamples.of(users)
    runs = {
        name: [
            run_metrics(frame, activity, resamples, "ranker").extended(*rank_metrics(frame, base, outcomes, score))
            for frame, base in zip(frames, base_ctr, strict=True)
        ]
        for name, frames in predictions.items()
    }
    return {name: compare_with_base(runs[name], runs["single"], "ranker", name == "gbdt") for name in RANKERS}


def test_rankers(settings):
    score = Rankscore(1.0, 0.5, 0.25, "duration_s")
    request = Request("ranker", "ranker", list(RANKERS), "single", len(SEEDS), *DAYS, score)
    outcomes = example.outcomes()
    earlier, later = (outcomes[outcomes["day"] == str(day)] for day in DAYS)
    mse = mse_of_mean(earlier, later, "conversion")
    notes = report.notes_on_rankers("single", score, mse)
    comparisons = ranker_comparisons(score)
    assert_published(settings, request, comparisons, notes, predicting_the_mean={"cvr_mse": mse})


def tag_metrics(number: int, seed: int, day: int = 0) -> dict[MetricName, float | None]:
    return {
        name: round(0.1 * (place + 1) + 0.03 * number + 0.01 * seed, 4) + 0.001 * day
        for place, name in enumerate(TAG_METRICS)
    }


def test_taggers(settings):
    request = Request("tagger", "tagger", list(TAGGERS), "two_tower", len(SEEDS), *DAYS)
    predictions = {
        name: [example.predictions(("interest", "intention"), number, seed, quality) for seed in SEEDS]
        for number, (name, quality) in enumerate(TAGGERS.items())
    }
    first = predictions["two_tower"][0]
    users = first.loc[first["task"] == "interest", "user_id"]
    activity, resamples = activity_groups(users), Resamples.of(users)
    runs = {
        name: [
            run_metrics(predictions[name][seed], activity, resamples, "tagger").extended(
                tag_metrics(number, seed), {str(day): tag_metrics(number, seed, n) for n, day in enumerate(DAYS)}
            )
            for seed in SEEDS
        ]
        for number, name in enumerate(TAGGERS)
    }
    comparisons = {name: compare_with_base(runs[name], runs["two_tower"], "tagger") for name in TAGGERS}
    assert_published(settings, request, comparisons, ["A note."], baselines={})
