"""The pictures of a day's tags."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

MOST_TAGS = 30
_GAINED, _LOST, _BARS = "#2a7f62", "#c4483f", "#2f6db5"


def tag_popularity(popular: Mapping[str, Sequence[tuple[str, int]]], users: int) -> Figure:
    """task -> (tag, users who have it), most frequent first; bars are shares of all users."""
    figure, columns = _column_for_each_task(popular)
    for axes, (task, tags) in zip(columns, popular.items(), strict=True):
        _bars(axes, [tag for tag, _ in tags], [count / users for _, count in tags], _BARS)
        axes.set(title=f"{task}: the most frequent tags", xlabel="share of users who have the tag")
    return figure


def audience_sizes(sizes: Mapping[str, Mapping[str, int]], thresholds: Mapping[str, float]) -> Figure:
    """task -> tag -> users; the MOST_TAGS largest audiences. thresholds: task -> smallest score of an audience."""
    largest = {task: sorted(users.items(), key=lambda item: -item[1])[:MOST_TAGS] for task, users in sizes.items()}
    figure, columns = _column_for_each_task(largest)
    for axes, (task, tags) in zip(columns, largest.items(), strict=True):
        _bars(axes, [tag for tag, _ in tags], [count for _, count in tags], _BARS)
        axes.set(title=f"{task}: the largest audiences", xlabel=f"users who score {thresholds[task]:g} or more")
    return figure


def churn_by_tag(by_tag: pd.DataFrame) -> Figure:
    """Users gained (right) and lost (left) by tag: the MOST_TAGS that changed most. by_tag: contract.PROFILE_DIFF."""
    changed = by_tag.assign(change=by_tag["gained"] + by_tag["lost"])
    most = {
        str(task): rows.sort_values("change", ascending=False, kind="stable").head(MOST_TAGS)
        for task, rows in changed.groupby("task", sort=False)
    }
    figure, columns = _column_for_each_task(most)
    for axes, (task, rows) in zip(columns, most.items(), strict=True):
        names = rows["tag"].tolist()
        _bars(axes, names, rows["gained"].tolist(), _GAINED)
        _bars(axes, names, (-rows["lost"]).tolist(), _LOST)
        axes.axvline(0, color="#999999", linewidth=1)
        axes.set(title=f"{task}: the tags that changed most", xlabel="users lost | gained")
    return figure


def _column_for_each_task(tags: Mapping[str, Sequence[object] | pd.DataFrame]) -> tuple[Figure, Sequence[Axes]]:
    longest = max(len(tags_of_task) for tags_of_task in tags.values())
    figure = Figure(figsize=(5 * len(tags), 0.24 * longest + 1.4), layout="constrained")
    return figure, figure.subplots(1, len(tags), squeeze=False)[0]


def _bars(axes: Axes, names: Sequence[str], widths: Sequence[float], color: str) -> None:
    positions = range(len(names))
    axes.barh(positions, widths, color=color)
    axes.set_yticks(positions, names, fontsize=8)
    axes.set_ylim(max(len(names), 1) - 0.5, -0.5)  # the first on top
    axes.grid(axis="x", alpha=0.3)
