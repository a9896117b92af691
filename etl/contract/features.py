"""The columns of features and labels: their names, their order, and what an id means."""

from collections.abc import Iterable

from conf.settings.run_file import Feature

# ids of a feature's values: padding, unseen or missing (trained like any other), then the values of the vocabulary
PADDING, UNSEEN, FIRST_VALUE = 0, 1, 2

# label -> the column that says (0 or 1) whether it is defined on a row; an undefined label is 0 and carries no weight
LABELS = {
    "click": "click_defined",
    "action": "action_defined",
    "conversion": "conversion_defined",
    "converted": "conversion_defined",
}


def labels_of(kinds: Iterable[str] = ()) -> dict[str, str]:
    """LABELS and action_<kind> for each kind of action: label -> the column that says whether it is defined."""
    return {label: defined_by(label) for label in [*LABELS, *map(kind_label, kinds)]}


def defined_by(label: str) -> str:
    """The column that says whether a label is defined; a kind of action is defined where the action is."""
    return LABELS["action" if label.startswith(kind_label("")) else label]


def kind_label(kind: str) -> str:
    return f"action_{kind}"


def label_columns(kinds: Iterable[str] = ()) -> list[str]:
    """All labels, then the columns that say whether they are defined."""
    labels = labels_of(kinds)
    return [*labels, *dict.fromkeys(labels.values())]


def feature_columns(feature: Feature) -> list[str]:
    """Id columns of one feature: f_<name>, or f_<name>_0, f_<name>_1, ... for a multi-valued one."""
    if feature.kind == "multi":
        return [f"f_{feature.name}_{n}" for n in range(feature.length)]
    return [f"f_{feature.name}"]


def columns_of(features: Iterable[Feature]) -> list[str]:
    return [column for feature in features for column in feature_columns(feature)]


def value_column(feature: Feature) -> str:
    """The column of a numeric feature's number, NaN where it is missing or not a finite float."""
    return f"v_{feature.name}"


def value_columns(features: Iterable[Feature]) -> list[str]:
    return [value_column(feature) for feature in features if feature.kind == "numeric"]
