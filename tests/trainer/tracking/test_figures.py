"""What the figures show, read from their axes."""

from trainer.tracking import figures


def test_a_model_is_a_point_with_the_bar_that_is_known():
    """The bar of b does not hold its mean, as may happen to an interval; a, the base, has none."""
    figure = figures.metric_by_model({"a": 0.7, "b": 0.8}, {"b": (0.81, 0.83)}, "a", "ctr_auc, mean")
    drawn = [(list(line.get_xdata()), list(line.get_ydata())) for line in figure.axes[0].lines]
    assert drawn == [([0.7], ["a"]), ([0.8], ["b"]), ([0.81, 0.83], ["b", "b"]), ([0.7, 0.7], [0, 1])]
    assert figure.axes[0].get_title() == "ctr_auc, mean"
