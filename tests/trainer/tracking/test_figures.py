"""What the figures show, read from their axes."""

import pytest

from trainer.tracking import figures


def test_a_model_is_a_point_with_the_bar_that_is_known():
    """The bar of b does not hold its mean, as may happen to an interval; a, the base, has none."""
    figure = figures.metric_by_model({"a": 0.7, "b": 0.8}, {"b": (0.81, 0.83)}, "a", "ctr_auc, mean")
    drawn = [(list(line.get_xdata()), list(line.get_ydata())) for line in figure.axes[0].lines]
    assert drawn == [([0.7], ["a"]), ([0.8], ["b"]), ([0.81, 0.83], ["b", "b"]), ([0.7, 0.7], [0, 1])]
    assert figure.axes[0].get_title() == "ctr_auc, mean"


def test_domains_are_one_below_the_other_with_the_busiest_first():
    """Three models, a third of a slot of .8 apart; b does not know quiet."""
    models = {
        "a": {"quiet": (0.6, 0.1), "tab": (0.7, None)},
        "b": {"quiet": (None, None), "tab": (0.8, 0.02)},
        "c": {"tab": (0.9, 0.0)},
    }
    axes = figures.metric_by_domain({"tab": 1200, "quiet": 30}, models, "a", "ctr_auc").axes[0]
    drawn = {bars.get_label(): bars.lines[0] for bars in axes.containers}
    assert {model: list(line.get_xdata()) for model, line in drawn.items()} == {"a": [0.6, 0.7], "b": [0.8], "c": [0.9]}
    third = 0.8 / 3
    places = {model: list(line.get_ydata()) for model, line in drawn.items()}
    assert places["a"] == pytest.approx([1 - third, 0 - third])
    assert places["b"] == pytest.approx([0], abs=1e-12) and places["c"] == pytest.approx([third])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["tab (1,200)", "quiet (30)"]
    assert axes.get_ylim() == (1.5, -0.5)  # the first on top


def test_a_metric_that_is_undefined_on_all_domains_is_an_empty_figure():
    axes = figures.metric_by_domain({"tab": 3}, {"a": {"tab": (None, None)}}, "a", "cvr_auc").axes[0]
    assert [list(bars.lines[0].get_xdata()) for bars in axes.containers] == [[]]
