"""What MLflow shows of a day's tags: one run a day, and its metrics once more as curves of the history."""

from collections.abc import Iterator
from contextlib import contextmanager

from tagging.monitoring.changes import Changes
from tagging.monitoring.figures import audience_sizes, churn_by_tag, tag_popularity
from tagging.scoring.inputs import Inputs
from tagging.tables.manifests import Manifests
from trainer.tracking import mlflow_runs as tracking

USER_TAGS_METRICS = ("users_tagged", "coverage", "tags_per_user", "tags_in_use", "mean_score", "mean_top_score")
AUDIENCE_METRICS = {"rows": "audience_rows", "reached": "audience_users", "tags_in_use": "audience_tags"}
CHANGE_METRICS = ("coverage_ratio", "churn", "score_shift")


@contextmanager
def tracked_day(inputs: Inputs, manifests: Manifests, changes: Changes) -> Iterator[tracking.Run]:
    """The day's run, with its metrics and pictures; FAILED when the block raises.

    The history gets the metrics only when the block succeeds.
    """
    run, day, settings = inputs.run, inputs.day, inputs.run.settings
    tags = {"family": run.family, "model": run.name, "job": "tag_users"}
    params = {"model": run.name, "top_k": settings.tagging.top_k, "min_score": settings.tagging.min_score}
    metrics = _metrics(manifests, changes)
    step = (day - settings.training.start).days
    history = tracking.history(settings, "tagging", run.name, tags, params)
    title, key = f"{run.name} {day}", f"tagging/{run.name}/{day}"
    with tracking.run(settings, "tagging", title, key=key, tags={**tags, "day": str(day)}, parent=history) as tracked:
        tracked.params({**params, "day": day, **_params(inputs, manifests)})
        tracked.metrics(metrics, day, step)
        tracked.dataset(inputs.users_folder, inputs.made_from["users"], "tagging")
        _figures(tracked, inputs, manifests, changes)
        yield tracked
    history.metrics(metrics, day, step)


def _metrics(manifests: Manifests, changes: Changes) -> dict[str, float]:
    found: dict[str, float] = {}
    for task, manifest in manifests.user_tags.items():
        found |= {f"{task}_{name}": float(manifest[name]) for name in USER_TAGS_METRICS}
    for task, manifest in manifests.audience.items():
        found |= {f"{task}_{metric}": float(manifest[name]) for name, metric in AUDIENCE_METRICS.items()}
    for task, metrics in changes.by_task.items():
        found |= {f"{task}_{name}": float(metrics[name]) for name in CHANGE_METRICS}
    return found


def _params(inputs: Inputs, manifests: Manifests) -> dict[str, object]:
    found: dict[str, object] = {
        "users": inputs.user_count,
        "tags": len(inputs.tags),
        "users_without_features": manifests.profiles["users_without_features"],
        **{f"{name}_identity": inputs.made_from[name] for name in ("model", "vocabulary")},
    }
    for task, calibration in inputs.calibrations.items():
        curve = calibration.curve
        found |= {f"{task}_intercept": curve.intercept, f"{task}_slope": curve.slope, f"{task}_cubic": curve.cubic}
    return found | {f"{task}_from_score": manifest["from_score"] for task, manifest in manifests.audience.items()}


def _figures(tracked: tracking.Run, inputs: Inputs, manifests: Manifests, changes: Changes) -> None:
    popular = {task: manifest["popular"] for task, manifest in manifests.user_tags.items()}
    tracked.figure(tag_popularity(popular, inputs.user_count), "tag_popularity")
    sizes = {
        task: {tag: audience["users"] for tag, audience in manifest["audiences"].items()}
        for task, manifest in manifests.audience.items()
    }
    thresholds = {task: manifest["from_score"] for task, manifest in manifests.audience.items()}
    tracked.figure(audience_sizes(sizes, thresholds), "audience_sizes")
    if len(changes.by_tag):
        tracked.figure(churn_by_tag(changes.by_tag), "churn_by_tag")
