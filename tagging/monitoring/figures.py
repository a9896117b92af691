"""The pictures of a tagging."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

MOST_TAGS = 30
_GAINED, _LOST, _BARS = "#2a7f62", "#c4483f", "#2f6db5"


def tag_popularity(popular: Mapping[str, Sequence[tuple[str, int]]], users: int) -> Figure:
    """Task -> (tag, users who have it), most frequent first; bars as a share of all users."""
    figure, places = _a_column_a_task(popular)
    for axes, (task, tags) in zip(places, popular.items(), strict=True):
        _bars(axes, [tag for tag, _ in tags], [count / users for _, count in tags], _BARS)
        axes.set(title=f"{task}: the most frequent tags", xlabel="share of users who have the tag")
    return figure


def audience_sizes(manifests: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Task -> manifest of its audiences; users of the largest MOST_TAGS."""
    sizes = {task: {tag: of["users"] for tag, of in m["audiences"].items()} for task, m in manifests.items()}
    shown = {task: sorted(of_task.items(), key=lambda entry: -entry[1])[:MOST_TAGS] for task, of_task in sizes.items()}
    figure, places = _a_column_a_task(shown)
    for axes, (task, tags) in zip(places, shown.items(), strict=True):
        _bars(axes, [tag for tag, _ in tags], [count for _, count in tags], _BARS)
        least = manifests[task]["from_score"]
        axes.set(title=f"{task}: the largest audiences", xlabel=f"users who score {least:g} or more")
    return figure


def churn_by_tag(by_tag: pd.DataFrame) -> Figure:
    """Users gained (right) and lost (left) by tag, rows of contract.PROFILE_DIFF; the MOST_TAGS that changed most."""
    changed = by_tag.assign(change=by_tag["gained"] + by_tag["lost"])
    shown = {
        str(task): rows.sort_values("change", ascending=False, kind="stable").head(MOST_TAGS)
        for task, rows in changed.groupby("task", sort=False)
    }
    figure, places = _a_column_a_task(shown)
    for axes, (task, rows) in zip(places, shown.items(), strict=True):
        names = rows["tag"].tolist()
        _bars(axes, names, rows["gained"].tolist(), _GAINED)
        _bars(axes, names, (-rows["lost"]).tolist(), _LOST)
        axes.axvline(0, color="#999999", linewidth=1)
        axes.set(title=f"{task}: the tags that changed most", xlabel="users lost | gained")
    return figure


def _a_column_a_task(tags: Mapping[str, Sequence[object] | pd.DataFrame]) -> tuple[Figure, Sequence[Axes]]:
    longest = max(len(of_task) for of_task in tags.values())
    figure = Figure(figsize=(5 * len(tags), 0.24 * longest + 1.4), layout="constrained")
    return figure, figure.subplots(1, len(tags), squeeze=False)[0]


def _bars(axes: Axes, names: Sequence[str], widths: Sequence[float], color: str) -> None:
    places = range(len(names))
    axes.barh(places, widths, color=color)
    axes.set_yticks(places, names, fontsize=8)
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)  # the first on top
    axes.grid(axis="x", alpha=0.3)
