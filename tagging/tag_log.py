"""What MLflow shows of a tagging: one run a day with the figures of all tasks, and the same as the history's curves."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Any

import pandas as pd

from tagging.figures import churn_by_tag, tag_popularity
from trainer import tracking
from trainer.family import DailyRun

OF_TAGS = ("users_tagged", "coverage", "tags_per_user", "tags_in_use", "mean_score", "mean_top_score")
OF_CHANGES = ("coverage_ratio", "churn", "score_shift")


@contextmanager
def day_of_tags(
    run: DailyRun, day: date, manifests: Mapping[str, dict[str, Any]], changes: Mapping[str, Any], by_tag: pd.DataFrame
) -> Iterator[tracking.Run]:
    """The run of a day, with all its figures; the history gets them too, once what happens inside has succeeded.

    manifests: of user_tags, by task. changes: tagging.changes.figures by task, for the tasks that had tags before.
    """
    settings, step = run.settings, (day - run.settings.training.start).days
    tags = {"family": run.family, "model": run.name, "job": "tag_users"}
    params = {"model": run.name, "top_k": settings.tagging.top_k, "min_score": settings.tagging.min_score}
    values = {f"{task}_{name}": float(of_task[name]) for task, of_task in manifests.items() for name in OF_TAGS}
    values |= {f"{task}_{name}": float(of_task[name]) for task, of_task in changes.items() for name in OF_CHANGES}
    history = tracking.history(settings, "tagging", run.name, tags, params)
    any_task = next(iter(manifests.values()))
    made_from = any_task["made_from"]
    title, key = f"{run.name} {day}", f"tagging/{run.name}/{day}"
    with tracking.run(settings, "tagging", title, key=key, tags={**tags, "day": str(day)}, parent=history) as tracked:
        tracked.params({**params, "day": day, "users": any_task["users"], "tags": any_task["tags"]})
        tracked.params({f"{name}_identity": made_from[name] for name in ("model", "vocabulary")})
        for task, of_task in manifests.items():
            terms = of_task["calibration"]
            tracked.params({f"{task}_{name}": terms[name] for name in ("intercept", "slope", "cubic")})
        tracked.metrics(values, day, step)
        tracked.dataset(run.paths.users(day), made_from["users"], "tagging")
        popular = {task: of_task["popular"] for task, of_task in manifests.items()}
        tracked.figure(tag_popularity(popular, any_task["users"]), "tag_popularity")
        if len(by_tag):
            tracked.figure(churn_by_tag(by_tag), "churn_by_tag")
        yield tracked
    history.metrics(values, day, step)
