"""A comparison as Markdown: one table for each group of metrics, models as rows."""

from collections.abc import Iterable, Mapping, Sequence

from trainer.comparison import rankscore, selection
from trainer.comparison.differences import TEST, MeanAndSd, ModelComparison
from trainer.comparison.rankscore import Rankscore
from trainer.comparison.request import Request
from trainer.evaluation.metrics import TOP_METRICS, MetricName

UNDEFINED = "undefined"
NOT_PREDICTED = "-"
OTHER_LABEL = "†"
BY_ACTIVITY = "by users' activity: quartiles of users by impressions in these days"

Groups = Mapping[str, Mapping[MetricName, MeanAndSd]]


def markdown(
    request: Request, comparisons: Mapping[str, ModelComparison], impressions: int, notes: Sequence[str]
) -> str:
    """notes: paragraphs between the heading and the tables."""
    names = sorted(dict.fromkeys(name for found in comparisons.values() for name in found.metrics), key=_position)
    tops = [name for name in names if name.metric in TOP_METRICS]
    main = [name for name in names if name not in tops]
    parts = [
        f"# {len(comparisons)} models, {request.first} to {request.last}, {request.seeds} seeds\n",
        f"{impressions:,} impressions, each predicted by the model of the day before. Mean ± standard deviation over"
        f" seeds, all days together; in brackets the difference to {request.base} and p of the two-sided paired test"
        f" ({TEST}) on the values by seed and day. Seeds share the days, so pairs are not independent and p is on the"
        " small side.\n",
        *(f"{note}\n" for note in notes),
    ]
    parts.extend(_table(target, of_target, comparisons) for target, of_target in _by_target(main).items())
    for target, of_target in _by_target(tops).items():
        title = f"{target}, top rows by prediction, percent of rows (ESM2 tables 4 and 5)"
        parts.append(_table(title, of_target, comparisons))
    titled = {_title(model, found): found for model, found in comparisons.items()}
    days, groups = selection.BY_DAY[request.family], selection.BY_GROUP[request.family]
    parts.extend(_group_tables("by day", days, {title: found.by_day for title, found in titled.items()}))
    parts.extend(_group_tables("by domain", groups, {title: found.by_domain for title, found in titled.items()}))
    parts.extend(_group_tables(BY_ACTIVITY, groups, {title: found.by_activity for title, found in titled.items()}))
    return "\n".join(parts)


def notes_on_rankers(base: str, score: Rankscore, mse_of_mean: float | None) -> list[str]:
    """How to read the tables; mse_of_mean: CVR's MSE when the mean of all earlier days is predicted."""
    return [
        f"{OTHER_LABEL}: learns another conversion than {base} (the share, or yes or no), so that its mse and its"
        " calibration of cvr and ctcvr are against another label. -: does not predict it.",
        f"Predicting the mean of all earlier days: cvr mse {_number(mse_of_mean)}.",
        f"rankscore value_of_top: {score}; the mean share watched (0 without a click) of the top tenth of"
        " each user's impressions of a day, ordered by it (LT4REC eq. 3, table 3 offline);"
        f" with_base_ctr: the model's CVR behind the CTR of {base}"
        + (f"; in_length: share watched times {score.length}." if score.length else "."),
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


def _table(title: str, names: Sequence[MetricName], comparisons: Mapping[str, ModelComparison]) -> str:
    """Metrics as columns."""
    rows = [[_title(model, found), *(_cell(name, found) for name in names)] for model, found in comparisons.items()]
    return _lines(title, ["model", *(name.metric for name in names)], rows)


def _group_tables(title: str, names: Sequence[MetricName], models: Mapping[str, Groups]) -> list[str]:
    """A table a metric: groups as columns."""
    groups = list(dict.fromkeys(group for of_model in models.values() for group in of_model))
    return [
        _lines(
            f"{str(name).replace('_', ' ')} {title}",
            ["model", *groups],
            [[model, *(_mean(found.get(group, {}).get(name)) for group in groups)] for model, found in models.items()],
        )
        for name in names
    ]


def _title(model: str, comparison: ModelComparison) -> str:
    return f"{model} {OTHER_LABEL}" if comparison.other_label else model


def _cell(name: MetricName, comparison: ModelComparison) -> str:
    """Mean ± sd, and in brackets the difference (for MSE also relative to the base) and p."""
    if name not in comparison.metrics:
        return NOT_PREDICTED
    value, difference = comparison.metrics[name], comparison.differences.get(name)
    if value.mean is None or difference is None or not difference.value:
        return _mean(value)
    base = value.mean - difference.value
    relative = f", {difference.value / base:+.2%}" if name.metric == "mse" and base else ""
    p = UNDEFINED if difference.p is None else f"{difference.p:.2g}"
    return f"{_mean(value)} ({difference.value:+.4f}{relative}, p {p})"


def _mean(value: MeanAndSd | None) -> str:
    if value is None or value.mean is None:
        return UNDEFINED
    return _number(value.mean) + (f" ± {_number(value.sd)}" if value.sd is not None else "")


def _number(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.4f}"


def _lines(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (header, *rows)]
    return "\n".join([f"## {title}\n", lines[0], "|" + "---|" * len(header), *lines[1:]]) + "\n"
