"""MVKE figure 8: which virtual kernel experts speak for which tag."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray


def gate_heatmap(gates: NDArray[np.float32], tags: Sequence[str], task: str) -> Figure:
    """gates [T, K], rows sum to 1, 0 for experts that do not serve the task; tags: the T names."""
    count, experts = gates.shape
    figure = Figure(figsize=(1.1 * experts + 2.4, 0.28 * count + 1.6), layout="constrained")
    axes = figure.subplots()
    serves = gates.any(axis=0)
    image = axes.imshow(np.where(serves, gates, np.nan), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(gates.shape):
        if serves[column]:
            weight = gates[row, column]
            colour = "white" if weight > 0.6 else "black"
            axes.text(column, row, f"{weight:.2f}", ha="center", va="center", fontsize=7, color=colour)
    axes.set_facecolor("#eeeeee")
    axes.set_xticks(range(experts), [f"VKE-{n + 1}" for n in range(experts)])
    axes.set_yticks(range(count), list(tags), fontsize=8)
    axes.set_title(f"{task}: weight of each expert by tag")
    figure.colorbar(image, ax=axes, shrink=0.6)
    return figure
