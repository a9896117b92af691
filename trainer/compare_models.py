"""JOB: several ranking models over the same days and seeds, compared with a base.

    sparsetag compare_models --config conf/kuairand.toml --models hard sparse_weight esm2 --seeds 5 \\
        --from 2022-05-01 --to 2022-05-06

For each seed and model: task masks where the model needs them, then daily training up to the last day, exactly as
generate_masks and train_day do it. What is published is left alone, so a killed comparison resumes where it stopped.
Then the predictions that each model made of these days, before it trained on them, are evaluated, logged to MLflow and
published as comparisons/<name>. --force replaces the comparison; models are replaced by their own jobs.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

from conf import cli
from conf.errors import InputError
from conf.log import event
from conf.paths import Paths
from conf.settings.model_file import RankingModel
from conf.settings.run_file import Settings
from trainer.comparison import publication, report, tracking
from trainer.comparison.arguments import add_arguments, declared_models, request_of
from trainer.comparison.differences import ModelComparison, compare_with_base
from trainer.comparison.intervals import Resamples
from trainer.comparison.outcomes import mse_of_mean, read_outcomes
from trainer.comparison.predictions import predictions_of
from trainer.comparison.rankscore import Rankscore, ctr_predictions, rank_metrics
from trainer.comparison.request import Request
from trainer.comparison.run_metrics import RunMetrics, activity_groups, run_metrics
from trainer.comparison.traffic import read_traffic
from trainer.comparison.training import train_all


def parser() -> argparse.ArgumentParser:
    parsed = cli.parser("Train several models over the same days and seeds, and compare them.")
    add_arguments(parsed, base="single", name="models")
    parsed.add_argument(
        "--rankscore",
        nargs=3,
        type=float,
        default=(1.0, 1.0, 0.0),
        metavar=("A", "B", "C"),
        help="powers of pCTR, pCVR and length (LT4REC eq. 3)",
    )
    parsed.add_argument("--length", help="numeric feature that holds an item's length: for C, and for watch time")
    return parsed


def main() -> None:
    arguments = parser().parse_args()
    settings = cli.load(arguments)
    a, b, c = arguments.rankscore
    score = Rankscore(a, b, c, arguments.length)
    if c and not score.length:
        raise InputError("C is not 0, but nothing says the length", where="--rankscore", hint="give --length too")
    compare(settings, request_of(arguments, "ranker", score), force=arguments.force)


def compare(settings: Settings, request: Request, *, force: bool = False) -> None:
    """Trains what is missing, evaluates, logs and publishes; raises InputError before any work."""
    declared = declared_models(settings, request)
    models = {name: model for name, model in declared.items() if model.family == "ranker"}  # no other is left
    if not force and publication.is_complete(settings, request):
        return
    train_all(settings, request, models)
    score = request.rankscore or Rankscore()
    found = evaluate_all(settings, request, models, score)
    notes = report.notes_on_rankers(request.base, score, found.mse_of_mean)
    traffic = read_traffic(Paths(settings.lake.root), request.days)
    table = report.markdown(request, found.comparisons, traffic, notes)
    content = publication.as_json(request, found.comparisons, traffic)
    content["predicting_the_mean"] = {"cvr_mse": found.mse_of_mean}
    tracking.log(settings, request, models, found.comparisons, traffic, table)
    publication.publish_comparison(settings, request, table, content)


@dataclass(frozen=True)
class Evaluation:
    """mse_of_mean: CVR's MSE when the mean of all earlier days is predicted."""

    comparisons: dict[str, ModelComparison]
    mse_of_mean: float | None


def evaluate_all(
    settings: Settings, request: Request, models: Mapping[str, RankingModel], score: Rankscore
) -> Evaluation:
    paths = Paths(settings.lake.root)
    outcomes = read_outcomes(paths, request.days, score.length)
    base_ctr = [ctr_predictions(predictions_of(paths, request, request.base, seed)) for seed in range(request.seeds)]
    activity, resamples = activity_groups(base_ctr[0]["user_id"]), Resamples.of(base_ctr[0]["user_id"])
    runs: dict[str, list[RunMetrics]] = {name: [] for name in models}
    for name in models:
        for seed in range(request.seeds):
            predictions = predictions_of(paths, request, name, seed)
            ranked = rank_metrics(predictions, base_ctr[seed], outcomes, score)
            runs[name].append(run_metrics(predictions, activity, resamples, request.family).extended(*ranked))
        event("model evaluated", model=name, seeds=request.seeds)
    learns = models[request.base].conversion
    comparisons = {
        name: compare_with_base(runs[name], runs[request.base], request.family, model.conversion != learns)
        for name, model in models.items()
    }
    earlier = read_outcomes(paths, cli.days(settings.training.start, request.first)[:-1])
    label = {"share": "conversion", "yes_no": "converted"}[learns]
    return Evaluation(comparisons, mse_of_mean(earlier, outcomes, label))


if __name__ == "__main__":
    cli.run(main)
