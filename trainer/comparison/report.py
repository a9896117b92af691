"""A comparison for people to read, and the same as JSON."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from trainer.comparison.statistics import (
    OF_DAYS,
    OF_GROUPS,
    RANKSCORE,
    TEST,
    Asked,
    Compared,
    Spread,
    target_and_metric,
)

UNDEFINED = "undefined"
NOT_PREDICTED = "-"
OTHER_LABEL = "†"
TARGETS = ("ctr", "cvr", "ctcvr", "ctavr")  # the first in the tables, in this order
BY_ACTIVITY = "by users' activity: quartiles of users by impressions in these days"


def markdown(asked: Asked, models: Mapping[str, Compared], rows: int, notes: Sequence[str]) -> str:
    """One table a group of metrics, models as rows."""
    names = sorted({name: None for compared in models.values() for name in compared.spreads}, key=_place)
    tops = [name for name in names if target_and_metric(name)[1].startswith(("recall", "precision", "f1"))]
    main = [name for name in names if name not in tops]
    parts = [
        f"# {len(models)} models, {asked.first} to {asked.last}, {asked.seeds} seeds\n",
        f"{rows:,} impressions, each predicted by the model of the day before. Mean ± standard deviation over seeds,"
        f" all days together; in brackets the difference to {asked.base} and p of the two-sided paired test ({TEST}) on"
        " the values by seed and day. Seeds share the days, so pairs are not independent and p is on the small side.\n",
        *(f"{note}\n" for note in notes),
    ]
    parts.extend(_table(target, of_target, models) for target, of_target in _by_target(main).items())
    for target, of_target in _by_target(tops).items():
        title = f"{target}, top rows by prediction, percent of rows (ESM2 tables 4 and 5)"
        parts.append(_table(title, of_target, models))
    shown = {_title(model, found): found for model, found in models.items()}
    days, groups = OF_DAYS[asked.section], OF_GROUPS[asked.section]
    parts.extend(_group_tables("by day", days, {title: found.by_day for title, found in shown.items()}))
    parts.extend(_group_tables("by domain", groups, {title: found.by_domain for title, found in shown.items()}))
    parts.extend(_group_tables(BY_ACTIVITY, groups, {title: found.by_activity for title, found in shown.items()}))
    return "\n".join(parts)


def notes_on_rankers(asked: Asked, mean_mse: float | None) -> list[str]:
    """How to read the tables; mean_mse: of predicting the mean of all earlier days."""
    score = asked.rankscore
    assert score
    return [
        f"{OTHER_LABEL}: learns another conversion than {asked.base} (the share, or yes or no), so that its mse and its"
        " calibration of cvr and ctcvr are against another label. -: does not predict it.",
        f"Predicting the mean of all earlier days: cvr mse {_number(mean_mse)}.",
        f"rankscore value_of_top: {score}; the mean share watched (0 without a click) of the top tenth of"
        " each user's impressions of a day, ordered by it (LT4REC eq. 3, table 3 offline);"
        f" with_base_ctr: the model's CVR behind the CTR of {asked.base}"
        + (f"; in_length: share watched times {score.length}." if score.length else "."),
    ]


def content(asked: Asked, models: Mapping[str, Compared], rows: int) -> dict[str, Any]:
    """The same for programs; undefined is null."""
    return {
        "asked": asked_for(asked),
        "test": TEST,
        "rows": rows,
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
        lines.append(_line(_title(model, compared), *(_cell(name, compared) for name in names)))
    return "\n".join(lines) + "\n"


def _place(name: str) -> tuple[int, str]:
    """Known targets first, then kinds of action, then the order of impressions; metrics stay as they are."""
    target, _ = target_and_metric(name)
    return (TARGETS.index(target), "") if target in TARGETS else (len(TARGETS) + (target == RANKSCORE), target)


def _title(model: str, compared: Compared) -> str:
    return f"{model} {OTHER_LABEL}" if compared.other_label else model


def _group_tables(
    title: str, names: Sequence[str], models: Mapping[str, Mapping[str, Mapping[str, Spread]]]
) -> list[str]:
    groups = list(dict.fromkeys(group for of_model in models.values() for group in of_model))
    tables = []
    for name in names:
        lines = [f"## {name.replace('_', ' ')} {title}\n", _line("model", *groups), _rule(len(groups) + 1)]
        for model, of_model in models.items():
            lines.append(_line(model, *(_spread(of_model.get(group, {}).get(name)) for group in groups)))
        tables.append("\n".join(lines) + "\n")
    return tables


def _cell(name: str, compared: Compared) -> str:
    """Mean ± sd, and in brackets the difference, of errors also relative to the base, and p."""
    if name not in compared.spreads:
        return NOT_PREDICTED
    found, difference = compared.spreads[name], compared.differences.get(name)
    if found.mean is None or difference is None or not difference.value:
        return _spread(found)
    base = found.mean - difference.value
    relative = f", {difference.value / base:+.2%}" if name.endswith("_mse") and base else ""
    p = UNDEFINED if difference.p is None else f"{difference.p:.2g}"
    return f"{_spread(found)} ({difference.value:+.4f}{relative}, p {p})"


def _spread(found: Spread | None) -> str:
    if found is None or found.mean is None:
        return UNDEFINED
    return _number(found.mean) + (f" ± {_number(found.sd)}" if found.sd is not None else "")


def _number(value: float | None) -> str:
    return UNDEFINED if value is None else f"{value:.4f}"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(columns: int) -> str:
    return "|" + "---|" * columns
