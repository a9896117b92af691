"""Which metrics a comparison shows, and where."""

from trainer.evaluation.metrics import MetricName

METRICS = ("auc", "gauc_impressions", "gauc_equal", "mse", "calibration")
WITH_MSE = ("cvr",)  # targets whose label is a share
WITH_TOPS = ("cvr", "ctcvr")  # targets judged by recall, precision and F1 of the top rows as well
TARGETS = ("ctr", "cvr", "ctcvr", "ctavr")  # first in the tables, in this order; kinds of action follow

# depend on which conversion label a model learns (share watched, or yes or no)
LABEL_DEPENDENT = (
    MetricName("cvr", "mse"),
    MetricName("cvr", "calibration"),
    MetricName("ctcvr", "calibration"),
)

BY_DAY = {
    "ranker": (
        MetricName("ctr", "auc"),
        MetricName("ctr", "gauc_impressions"),
        MetricName("cvr", "mse"),
        MetricName("cvr", "auc"),
        MetricName("cvr", "calibration"),
        MetricName("ctcvr", "auc"),
    ),
    "tagger": tuple(
        MetricName(task, metric)
        for task in ("interest", "intention")
        for metric in ("auc", "gauc_impressions", "ndcg_at_10", "hit_rate_at_10")
    ),
}

# with an interval, and also by domain and by users' activity
HEADLINE = {
    "ranker": (
        MetricName("ctr", "auc"),
        MetricName("ctr", "gauc_impressions"),
        MetricName("cvr", "auc"),
        MetricName("cvr", "mse"),
        MetricName("ctcvr", "auc"),
    ),
    "tagger": tuple(
        MetricName(task, metric) for task in ("interest", "intention") for metric in ("auc", "gauc_impressions")
    ),
}

# a figure each in MLflow, a point a model
PICTURED = {
    "ranker": (
        *HEADLINE["ranker"],
        MetricName("ctcvr", "gauc_impressions"),
        MetricName("rankscore", "value_of_top"),
    ),
    "tagger": BY_DAY["tagger"],
}


def comparable(name: MetricName, other_label: bool) -> bool:
    """Whether a metric can be compared with the base's; other_label: the model learns another conversion label."""
    return not (other_label and name in LABEL_DEPENDENT)
