"""Tables of a comparison in Markdown: models, and their metrics or their groups."""

from collections.abc import Mapping, Sequence

from trainer.comparison.differences import MeanAndSd, ModelComparison
from trainer.comparison.traffic import Traffic
from trainer.evaluation.metrics import MetricName

UNDEFINED = "undefined"
NOT_PREDICTED = "-"
OTHER_LABEL = "†"
MOST_COLUMNS = 8  # groups side by side; more go one below the other

Groups = Mapping[str, Mapping[MetricName, MeanAndSd]]


def metric_table(title: str, names: Sequence[MetricName], comparisons: Mapping[str, ModelComparison]) -> str:
    """Metrics as columns."""
    rows = [[title_of(model, found), *(_cell(name, found) for name in names)] for model, found in comparisons.items()]
    return _lines(title, ["model", *(name.metric for name in names)], rows)


def spread_table(names: Sequence[MetricName], comparisons: Mapping[str, ModelComparison]) -> str:
    """Standard deviations over seeds of the metrics whose cells show an interval instead."""
    rows = [[title_of(model, found), *(_sd(name, found) for name in names)] for model, found in comparisons.items()]
    return _lines("standard deviation over seeds", ["model", *map(str, names)], rows)


def group_tables(kind: str, names: Sequence[MetricName], models: Mapping[str, Groups]) -> list[str]:
    """A table a metric: groups as columns, or models as columns when there are many groups.

    kind: what a group is, e.g. day. models: by title; groups keep their order.
    """
    groups = list(dict.fromkeys(group for of_model in models.values() for group in of_model))
    tables = []
    for name in names:
        cells = [
            ["model", *groups],
            *([model, *(_mean(found.get(group, {}).get(name)) for group in groups)] for model, found in models.items()),
        ]
        if len(groups) > MOST_COLUMNS:
            cells = [list(column) for column in zip(*cells, strict=True)]
            cells[0][0] = kind
        tables.append(_lines(f"{str(name).replace('_', ' ')} by {kind}", cells[0], cells[1:]))
    return tables


def traffic_table(traffic: Traffic) -> str:
    rows = [
        [name, f"{clicks.impressions:,}", number(clicks.click_rate)]
        for name, clicks in [*traffic.domains.items(), ("all", traffic.total)]
    ]
    return _lines("impressions by domain", ["domain", "impressions", "click rate"], rows)


def title_of(model: str, comparison: ModelComparison) -> str:
    return f"{model} {OTHER_LABEL}" if comparison.other_label else model


def _cell(name: MetricName, comparison: ModelComparison) -> str:
    """Mean, and in brackets the difference (for MSE also relative to the base): with intervals, or with sd and p."""
    if name not in comparison.metrics:
        return NOT_PREDICTED
    value, difference = comparison.metrics[name], comparison.differences.get(name)
    interval, of_difference = (of.get(name) for of in (comparison.intervals, comparison.difference_intervals))
    shown = f"{number(value.mean)} [{number(interval.low)}, {number(interval.high)}]" if interval else _mean(value)
    if value.mean is None or difference is None or not difference.value:
        return shown
    base = value.mean - difference.value
    relative = f", {difference.value / base:+.2%}" if name.metric == "mse" and base else ""
    if of_difference:
        ends = f"[{of_difference.low:+.4f}, {of_difference.high:+.4f}]"
        return f"{shown} ({difference.value:+.4f} {ends}{relative})"
    p = UNDEFINED if difference.p is None else f"{difference.p:.2g}"
    return f"{shown} ({difference.value:+.4f}{relative}, p {p})"


def _sd(name: MetricName, comparison: ModelComparison) -> str:
    return number(comparison.metrics[name].sd) if name in comparison.metrics else NOT_PREDICTED


def _mean(value: MeanAndSd | None) -> str:
    if value is None or value.mean is None:
        return UNDEFINED
    return number(value.mean) + (f" ± {number(value.sd)}" if value.sd is not None else "")


def number(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.4f}"


def _lines(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (header, *rows)]
    return "\n".join([f"## {title}\n", lines[0], "|" + "---|" * len(header), *lines[1:]]) + "\n"
