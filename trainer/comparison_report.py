"""A comparison for people to read, and the same as JSON."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from trainer.comparison import OF_DAYS, OF_GROUPS, TEST, Asked, Compared, Difference, Spread, target_and_metric

UNDEFINED = "undefined"
BY_ACTIVITY = "by users' activity: quartiles of users by impressions in these days"


def markdown(asked: Asked, models: Mapping[str, Compared], mean_mse: float | None, rows: int) -> str:
    """One table a group of metrics, models as rows."""
    names = list(dict.fromkeys(name for compared in models.values() for name in compared.spreads))
    tops = [name for name in names if target_and_metric(name)[1].startswith(("recall", "precision", "f1"))]
    main = [name for name in names if name not in tops]
    parts = [
        f"# {len(models)} models, {asked.first} to {asked.last}, {asked.seeds} seeds\n",
        f"{rows:,} impressions, each predicted by the model of the day before. Mean ± standard deviation over seeds,"
        " all days together; in brackets the difference to"
        f" {asked.base} and p of the two-sided paired test ({TEST}) on the values by seed and day. Days are shared by"
        " seeds, so pairs are not independent and p is on the small side. Errors against the label (mse, calibration"
        f" of cvr and ctcvr) have no difference where a model learns another conversion than {asked.base}.\n",
        f"Predicting the mean of all earlier days: cvr mse {_number(mean_mse)}.\n",
        f"rankscore value_of_top: {asked.rankscore}; the mean share watched (0 without a click) of the top tenth of"
        " each user's impressions of a day, ordered by it (LT4REC eq. 3, table 3 offline).\n",
    ]
    parts.extend(_table(target, of_target, models) for target, of_target in _by_target(main).items())
    for target, of_target in _by_target(tops).items():
        title = f"{target}, top rows by prediction, percent of rows (ESM2 tables 4 and 5)"
        parts.append(_table(title, of_target, models))
    parts.extend(_group_tables("by day", OF_DAYS, {model: found.by_day for model, found in models.items()}))
    parts.extend(_group_tables("by domain", OF_GROUPS, {model: found.by_domain for model, found in models.items()}))
    parts.extend(_group_tables(BY_ACTIVITY, OF_GROUPS, {model: found.by_activity for model, found in models.items()}))
    return "\n".join(parts)


def content(asked: Asked, models: Mapping[str, Compared], mean_mse: float | None, rows: int) -> dict[str, Any]:
    """The same for programs; undefined is null."""
    return {
        "asked": asked_for(asked),
        "test": TEST,
        "rows": rows,
        "predicting_the_mean": {"cvr_mse": mean_mse},
        "models": {model: asdict(compared) for model, compared in models.items()},
    }


def asked_for(asked: Asked) -> dict[str, Any]:
    return {**asdict(asked), "first": str(asked.first), "last": str(asked.last)}


def _by_target(names: Iterable[str]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for name in names:
        grouped.setdefault(target_and_metric(name)[0], []).append(name)
    return grouped


def _table(title: str, names: list[str], models: Mapping[str, Compared]) -> str:
    lines = [f"## {title}\n", _line("model", *(target_and_metric(name)[1] for name in names)), _rule(len(names) + 1)]
    for model, compared in models.items():
        cells = (_cell(compared.spreads.get(name), compared.differences.get(name)) for name in names)
        lines.append(_line(model, *cells))
    return "\n".join(lines) + "\n"


def _group_tables(
    title: str, names: Sequence[str], models: Mapping[str, Mapping[str, Mapping[str, Spread]]]
) -> list[str]:
    groups = list(dict.fromkeys(group for of_model in models.values() for group in of_model))
    tables = []
    for name in names:
        lines = [f"## {name.replace('_', ' ')} {title}\n", _line("model", *groups), _rule(len(groups) + 1)]
        for model, of_model in models.items():
            lines.append(_line(model, *(_cell(of_model.get(group, {}).get(name)) for group in groups)))
        tables.append("\n".join(lines) + "\n")
    return tables


def _cell(found: Spread | None, difference: Difference | None = None) -> str:
    if found is None or found.mean is None:
        return UNDEFINED
    text = _number(found.mean) + (f" ± {_number(found.sd)}" if found.sd is not None else "")
    if difference is None or difference.value is None or difference.value == 0:
        return text
    p = UNDEFINED if difference.p is None else f"{difference.p:.2g}"
    return f"{text} ({difference.value:+.4f}, p {p})"


def _number(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.4f}"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(columns: int) -> str:
    return "|" + "---|" * columns
