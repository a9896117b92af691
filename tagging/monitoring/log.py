"""What MLflow shows of a tagging: one run a day with the figures of all tasks, and the same as the history's curves."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tagging.monitoring.figures import audience_sizes, churn_by_tag, tag_popularity
from tagging.scoring.inputs import Inputs
from trainer.tracking import mlflow_runs as tracking

OF_TAGS = ("users_tagged", "coverage", "tags_per_user", "tags_in_use", "mean_score", "mean_top_score")
OF_AUDIENCES = {"rows": "audience_rows", "reached": "audience_users", "tags_in_use": "audience_tags"}
OF_CHANGES = ("coverage_ratio", "churn", "score_shift")


@dataclass(frozen=True)
class Manifests:
    """Of all tables of a day; user_tags and audience by task."""

    user_tags: dict[str, dict[str, Any]]
    profiles: dict[str, Any]
    audience: dict[str, dict[str, Any]]


@contextmanager
def day_of_tags(
    inputs: Inputs, made: Manifests, changes: Mapping[str, Any], by_tag: pd.DataFrame
) -> Iterator[tracking.Run]:
    """The run of a day, with all its figures; the history gets them too, once what happens inside has succeeded.

    changes: tagging.changes.figures by task, for the tasks that had tags before.
    """
    run, day, settings = inputs.run, inputs.day, inputs.run.settings
    tags = {"family": run.family, "model": run.name, "job": "tag_users"}
    params = {"model": run.name, "top_k": settings.tagging.top_k, "min_score": settings.tagging.min_score}
    values = {f"{task}_{name}": float(of[name]) for task, of in made.user_tags.items() for name in OF_TAGS}
    for task, of in made.audience.items():
        values |= {f"{task}_{shown}": float(of[name]) for name, shown in OF_AUDIENCES.items()}
    values |= {f"{task}_{name}": float(of[name]) for task, of in changes.items() for name in OF_CHANGES}
    step = (day - settings.training.start).days
    history = tracking.history(settings, "tagging", run.name, tags, params)
    title, key = f"{run.name} {day}", f"tagging/{run.name}/{day}"
    with tracking.run(settings, "tagging", title, key=key, tags={**tags, "day": str(day)}, parent=history) as tracked:
        tracked.params({**params, "day": day, "users": inputs.users, "tags": len(inputs.tags)})
        tracked.params({"users_without_features": made.profiles["users_without_features"]})
        tracked.params({f"{name}_identity": inputs.made_from[name] for name in ("model", "vocabulary")})
        for task, terms in inputs.calibration_notes.items():
            tracked.params({f"{task}_{name}": terms[name] for name in ("intercept", "slope", "cubic")})
        tracked.params({f"{task}_from_score": of["from_score"] for task, of in made.audience.items()})
        tracked.metrics(values, day, step)
        tracked.dataset(inputs.folder, inputs.made_from["users"], "tagging")
        popular = {task: of["popular"] for task, of in made.user_tags.items()}
        tracked.figure(tag_popularity(popular, inputs.users), "tag_popularity")
        tracked.figure(audience_sizes(made.audience), "audience_sizes")
        if len(by_tag):
            tracked.figure(churn_by_tag(by_tag), "churn_by_tag")
        yield tracked
    history.metrics(values, day, step)
