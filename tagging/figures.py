"""The picture of a tagging."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure


def tag_popularity(popular: Mapping[str, Sequence[tuple[str, int]]], users: int) -> Figure:
    """Task -> (tag, users who have it), most frequent first; bars as a share of all users."""
    longest = max(len(tags) for tags in popular.values())
    figure = Figure(figsize=(5 * len(popular), 0.24 * longest + 1.4), layout="constrained")
    for axes, (task, tags) in zip(figure.subplots(1, len(popular), squeeze=False)[0], popular.items(), strict=True):
        places = range(len(tags))
        axes.barh(places, [count / users for _, count in tags], color="#2f6db5")
        axes.set_yticks(places, [tag for tag, _ in tags], fontsize=8)
        axes.invert_yaxis()
        axes.set(title=f"{task}: the most frequent tags", xlabel="share of users who have the tag")
        axes.grid(axis="x", alpha=0.3)
    return figure
