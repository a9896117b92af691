"""A comparison as Markdown: one table for each group of metrics, models as rows."""

from collections.abc import Iterable, Mapping, Sequence

from trainer.comparison import rankscore, selection
from trainer.comparison.differences import TEST, ModelComparison
from trainer.comparison.intervals import PERCENT, RESAMPLES
from trainer.comparison.rankscore import Rankscore
from trainer.comparison.request import Request
from trainer.comparison.tables import (
    OTHER_LABEL,
    group_tables,
    metric_table,
    number,
    spread_table,
    title_of,
    traffic_table,
)
from trainer.comparison.traffic import Traffic
from trainer.evaluation.metrics import TOP_METRICS, MetricName

ACTIVITY = "users' activity: quartiles of users by impressions in these days"


def markdown(
    request: Request, comparisons: Mapping[str, ModelComparison], traffic: Traffic, notes: Sequence[str]
) -> str:
    """notes: paragraphs between the heading and the tables."""
    names = sorted(dict.fromkeys(name for found in comparisons.values() for name in found.metrics), key=_position)
    tops = [name for name in names if name.metric in TOP_METRICS]
    main = [name for name in names if name not in tops]
    parts = [
        f"# {len(comparisons)} models, {request.first} to {request.last}, {request.seeds} seeds\n",
        f"{traffic.total.impressions:,} impressions, each predicted by the model of the day before. Means over seeds,"
        f" all days together; in round brackets the difference to {request.base}.\n",
        f"In square brackets: {PERCENT} intervals from {RESAMPLES:,} resamples of users and seeds, the same ones for"
        " all models. Days are not resampled.\n",
        "Elsewhere: ± standard deviation over seeds, and p of the two-sided paired test"
        f" ({TEST}) on the values by seed and day. Seeds share the days, so pairs are not independent and p is on the"
        " small side.\n",
        *(f"{note}\n" for note in notes),
    ]
    parts.extend(metric_table(target, of_target, comparisons) for target, of_target in _by_target(main).items())
    if known := [name for name in main if any(found.intervals.get(name) for found in comparisons.values())]:
        parts.append(spread_table(known, comparisons))
    for target, of_target in _by_target(tops).items():
        title = f"{target}, top rows by prediction, percent of rows (ESM2 tables 4 and 5)"
        parts.append(metric_table(title, of_target, comparisons))
    return "\n".join([*parts, *_group_parts(request, comparisons, traffic)])


def notes_on_rankers(base: str, score: Rankscore, mse_of_mean: float | None) -> list[str]:
    """How to read the tables; mse_of_mean: CVR's MSE when the mean of all earlier days is predicted."""
    return [
        f"{OTHER_LABEL}: learns another conversion than {base} (the share, or yes or no), so that its mse and its"
        " calibration of cvr and ctcvr are against another label. -: does not predict it.",
        f"Predicting the mean of all earlier days: cvr mse {number(mse_of_mean)}.",
        f"rankscore value_of_top: {score}; the mean share watched (0 without a click) of the top tenth of"
        " each user's impressions of a day, ordered by it (LT4REC eq. 3, table 3 offline);"
        f" with_base_ctr: the model's CVR behind the CTR of {base}"
        + (f"; in_length: share watched times {score.length}." if score.length else "."),
    ]


def _group_parts(request: Request, comparisons: Mapping[str, ModelComparison], traffic: Traffic) -> list[str]:
    by_day, by_group = selection.BY_DAY[request.family], selection.HEADLINE[request.family]
    models = {title_of(model, found): found for model, found in comparisons.items()}
    domains = {
        model: {domain: found.by_domain[domain] for domain in traffic.domains if domain in found.by_domain}
        for model, found in models.items()
    }
    return [
        *group_tables("day", by_day, {model: found.by_day for model, found in models.items()}),
        traffic_table(traffic),
        *group_tables("domain", by_group, domains),
        *group_tables(ACTIVITY, by_group, {model: found.by_activity for model, found in models.items()}),
    ]


def _position(name: MetricName) -> tuple[int, str]:
    """Known targets first, then kinds of action, then the rankscore; within a target the order stays."""
    if name.target in selection.TARGETS:
        return selection.TARGETS.index(name.target), ""
    return len(selection.TARGETS) + (name.target == rankscore.TARGET), name.target


def _by_target(names: Iterable[MetricName]) -> dict[str, list[MetricName]]:
    grouped: dict[str, list[MetricName]] = {}
    for name in names:
        grouped.setdefault(name.target, []).append(name)
    return grouped
