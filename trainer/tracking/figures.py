"""Figures for the MLflow UI."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

matplotlib.use("Agg")

_SHADES = {"shared": "#2a7f62", "dead": "#d5d8dc"}
MOST_FEATURES = 15  # bars of a task
_DASHES, _MARKERS = ("-", "--", ":"), ("o", "s", "^")
_TASKS = ["#e6a817", "#7a4fa3", "#2f6db5", "#c4483f"]


def pruning_curves(
    history: Mapping[str, Sequence[Mapping[str, float]]], metrics: Mapping[str, str], best: Mapping[str, int]
) -> Figure:
    """LT4REC figure 4: each task's metric on the validation day by pruning round; the chosen round is marked.

    history: task -> a record for each round with `round`, `metric`, `pruned_share`. metrics: task -> name of its
    metric. best: task -> chosen round.
    """
    figure = Figure(figsize=(5 * len(history), 3.6), layout="constrained")
    for axes, (task, rounds) in zip(figure.subplots(1, len(history), squeeze=False)[0], history.items(), strict=True):
        numbers = [r["round"] for r in rounds]
        values = [r["metric"] for r in rounds]
        axes.plot(numbers, values, "o-", color="#2f6db5")
        axes.plot(
            best[task], values[best[task]], "*", markersize=16, color="#c4483f", label=f"chosen: round {best[task]}"
        )
        axes.set_xticks(numbers, [f"{n:.0f}\n{r['pruned_share']:.0%}" for n, r in zip(numbers, rounds, strict=True)])
        axes.set(title=f"{task}: {metrics[task]} on the validation day", xlabel="pruning round, share pruned")
        axes.grid(alpha=0.3)
        axes.legend()
    return figure


def mask_overlap(shares: Mapping[str, Mapping[str, float]]) -> Figure:
    """LT4REC figure 3: for each layer, the share of weights used by one task only, shared, or dead, as stacked bars."""
    figure = Figure(figsize=(7, 0.7 * len(shares) + 1.4), layout="constrained")
    axes = figure.subplots()
    layers = list(shares)
    left = np.zeros(len(layers))
    spare = iter(_TASKS)
    for kind in next(iter(shares.values())):
        widths = np.array([shares[layer][kind] for layer in layers])
        axes.barh(layers, widths, left=left, label=kind, color=_SHADES.get(kind) or next(spare))
        for n, width in enumerate(widths):
            if width > 0.06:
                axes.text(left[n] + width / 2, n, f"{width:.0%}", ha="center", va="center", fontsize=8)
        left += widths
    axes.invert_yaxis()
    axes.set(xlabel="share of the layer's weights", xlim=(0, 1), title="Which task uses which weight")
    figure.legend(loc="outside lower center", ncols=4)
    return figure


def calibration_curve(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Figure:
    """Observed mean by predicted mean in equal groups of predictions; curves: task -> (predicted, observed)."""
    figure = Figure(figsize=(4.6, 4.2), layout="constrained")
    axes = figure.subplots()
    top = max(max(predicted) for predicted, _ in curves.values())
    axes.plot([0, top], [0, top], "--", color="#999999", linewidth=1)
    for task, (predicted, observed) in curves.items():
        axes.plot(predicted, observed, "o-", label=task)
    axes.set(xlabel="predicted", ylabel="observed", title="Next-day calibration")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def feature_importance(shares: Mapping[str, Mapping[str, float]]) -> Figure:
    """The share of all splits' gain that the most important features have; shares: task -> feature -> share."""
    figure = Figure(figsize=(5 * len(shares), 0.28 * MOST_FEATURES + 1), layout="constrained")
    for axes, (task, of_task) in zip(figure.subplots(1, len(shares), squeeze=False)[0], shares.items(), strict=True):
        names = list(of_task)[:MOST_FEATURES]
        axes.barh(names, [of_task[name] for name in names], color="#2f6db5")
        axes.invert_yaxis()
        axes.set(title=f"{task}: most important features", xlabel="share of the gain of all splits")
        axes.grid(alpha=0.3, axis="x")
    return figure


def cluster_shares(days: Mapping[str, tuple[Sequence[float], Sequence[int]]]) -> Figure:
    """The share of each day's impressions that each cluster has, stacked; a star where a cluster was revived.

    days: day -> (share of each cluster, times each was revived).
    """
    figure = Figure(figsize=(max(5.0, 0.45 * len(days) + 3), 3.8), layout="constrained")
    axes = figure.subplots()
    shares = np.array([of_day for of_day, _ in days.values()])
    revived = np.array([of_day for _, of_day in days.values()]) > 0
    below = np.zeros(len(days))
    colours = matplotlib.colormaps["tab20"].colors  # type: ignore[attr-defined]  # listed colour maps have them
    for cluster in range(shares.shape[1]):
        height = shares[:, cluster]
        axes.bar(list(days), height, bottom=below, color=colours[cluster % 20], label=f"cluster {cluster}", width=0.9)
        for place in revived[:, cluster].nonzero()[0]:
            axes.plot(place, below[place] + height[place] / 2, "*", markersize=12, color="black")
        below += height
    axes.set(title="Share of impressions by cluster (star: revived)", ylim=(0, 1))
    axes.tick_params(axis="x", rotation=90, labelsize=8)
    figure.legend(loc="outside right upper", fontsize=8)
    return figure


def metric_by_model(
    means: Mapping[str, float], bars: Mapping[str, tuple[float, float]], base: str, title: str
) -> Figure:
    """A point for each model, with a bar where its ends are known; the base's mean as a line."""
    figure = Figure(figsize=(7, 0.3 * len(means) + 1.4), layout="constrained")
    axes = figure.subplots()
    for model, mean in means.items():
        color = "#c4483f" if model == base else "#2f6db5"
        axes.plot(mean, model, "o", color=color)
        if model in bars:  # an interval need not be around the mean, and errorbar() wants it to be
            axes.plot(bars[model], [model, model], "|-", color=color)
    if base in means:
        axes.axvline(means[base], linestyle="--", color="#999999", linewidth=1)
    axes.invert_yaxis()
    axes.set_title(title)
    axes.grid(alpha=0.3)
    return figure


def metric_by_group(
    groups: Mapping[str, Mapping[str, tuple[float | None, float | None]]], base: str, metric: str
) -> Figure:
    """ESM2 figure 7: a line for each model over groups of users, with its standard deviation over seeds.

    groups: model -> group -> mean and standard deviation; groups without a mean are left out.
    """
    names = list(dict.fromkeys(name for of_model in groups.values() for name in of_model))
    figure = Figure(figsize=(1.8 * len(names) + 3.4, 4.2), layout="constrained")
    axes = figure.subplots()
    for number, (model, of_model) in enumerate(groups.items()):
        known = {name: value for name, value in of_model.items() if value[0] is not None}
        places = [names.index(name) + 0.02 * (number - len(groups) / 2) for name in known]
        means, sds = ([value[n] or 0.0 for value in known.values()] for n in (0, 1))
        line = {"color": "#c4483f", "linewidth": 2} if model == base else {"linewidth": 1}
        dashes = _DASHES[number // 10 % len(_DASHES)]  # matplotlib has ten colours
        axes.errorbar(places, means, yerr=sds, fmt="o", ls=dashes, capsize=2, markersize=3, label=model, **line)
    axes.set_xticks(range(len(names)), [name.replace(": ", "\n", 1) for name in names], fontsize=8)
    axes.set(title=f"{metric} by users' activity, mean ± sd over seeds")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=8)
    return figure


def metric_by_domain(
    domains: Mapping[str, int],
    models: Mapping[str, Mapping[str, tuple[float | None, float | None]]],
    base: str,
    metric: str,
) -> Figure:
    """A point for each model and domain, with its standard deviation over seeds; domains one below the other.

    domains: name -> impressions, in their order. models: model -> domain -> mean and standard deviation; domains
    without a mean are left out.
    """
    names = list(domains)
    height = max(0.35, 0.08 * len(models))
    figure = Figure(figsize=(8.5, height * len(names) + 1.6), layout="constrained")
    axes = figure.subplots()
    for place in range(0, len(names), 2):
        axes.axhspan(place - 0.5, place + 0.5, color="#f3f4f6", zorder=0)
    for number, (model, of_model) in enumerate(models.items()):
        known = {name: value for name, value in of_model.items() if value[0] is not None}
        places = [names.index(name) + 0.8 * ((number + 0.5) / len(models) - 0.5) for name in known]
        means, sds = ([value[n] or 0.0 for value in known.values()] for n in (0, 1))
        color, marker = ("#c4483f", "D") if model == base else (None, _MARKERS[number // 10 % len(_MARKERS)])
        axes.errorbar(means, places, xerr=sds, fmt=marker, color=color, elinewidth=0.8, markersize=4, label=model)
    axes.set_yticks(range(len(names)), [f"{name} ({domains[name]:,})" for name in names], fontsize=8)
    axes.set(title=f"{metric} by domain (impressions), mean ± sd over seeds", ylim=(len(names) - 0.5, -0.5))
    axes.grid(alpha=0.3, axis="x")
    figure.legend(loc="outside right upper", fontsize=8)
    return figure


def gate_heatmap(gates: NDArray[np.float32], tags: Sequence[str], task: str) -> Figure:
    """MVKE figure 8: gate weights [T, K], tags as rows, VKEs as columns; VKEs of other tasks stay blank."""
    figure = Figure(figsize=(1.0 * gates.shape[1] + 2, 0.26 * len(tags) + 1.4), layout="constrained")
    axes = figure.subplots()
    serving = (gates != 0).any(0)
    shown = np.where(serving, gates, np.nan)
    image = axes.imshow(shown, aspect="auto", cmap="Blues", vmin=0, vmax=1)
    for row, column in np.argwhere(~np.isnan(shown)):
        weight = gates[row, column]
        axes.text(
            column,
            row,
            f"{weight:.2f}",
            ha="center",
            va="center",
            fontsize=7,
            color="white" if weight > 0.5 else "black",
        )
    axes.set_xticks(range(gates.shape[1]), [f"VKE-{n + 1}" for n in range(gates.shape[1])])
    axes.set_yticks(range(len(tags)), tags, fontsize=8)
    axes.set_title(f"{task}: gate weights by tag")
    figure.colorbar(image, ax=axes, shrink=0.6)
    return figure
