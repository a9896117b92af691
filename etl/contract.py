"""The tables between the packages: columns, types, label order. Needs neither Spark nor torch.

Types are Spark SQL type names. Feature columns f_... hold ids: 0 padding, 1 unseen or missing, 2.. values.
"""

from collections.abc import Iterable

from conf.settings.run_file import Feature, Settings

PADDING, UNSEEN, FIRST_VALUE = 0, 1, 2

RAW: dict[str, dict[str, str]] = {
    # `day` is the partition a row belongs to; `ts` is epoch milliseconds
    "impressions": {
        "impression_id": "string",
        "user_id": "string",
        "item_id": "string",
        "ts": "bigint",
        "day": "date",
        "domain": "string",
    },
    "clicks": {"impression_id": "string", "ts": "bigint", "day": "date"},
    "actions": {"impression_id": "string", "ts": "bigint", "day": "date", "action": "string"},
    # `converted`: the conversion as a yes or no; null lets [labels] converted_at decide
    "conversions": {
        "impression_id": "string",
        "ts": "bigint",
        "day": "date",
        "value": "double",
        "converted": "int",
    },
    "users": {"user_id": "string"},
    "items": {"item_id": "string"},
}

EVENT_TABLES = ("impressions", "clicks", "actions", "conversions")
# columns every source adds to the tables above: `refused`, the reason for which the source itself refuses a row,
# else null; `raw`, the text of a row that could not be parsed, else null
BOOKKEEPING = {"refused": "string", "raw": "string"}
QUARANTINE = {"reason": "string", "row": "string"}

KEYS = {"impression_id": "string", "user_id": "string", "item_id": "string", "ts": "bigint", "domain": "string"}
# label -> the column that says (0/1) whether it is defined on a row; undefined labels are 0 and carry no weight. A run
# file adds labels for kinds of action: labels_of
LABELS = {
    "click": "click_defined",
    "action": "action_defined",
    "conversion": "conversion_defined",
    "converted": "conversion_defined",
}

VOCABULARY = {"feature": "string", "value": "string", "id": "int", "first_seen": "string", "count": "bigint"}
PREDICTIONS = {
    "impression_id": "string",
    "user_id": "string",
    "item_id": "string",
    "domain": "string",
    "task": "string",
    "label": "float",
    "positive": "float",
    "defined": "float",
    "prediction": "float",
}
USER_TAGS = {"user_id": "string", "tag": "string", "score": "float", "rank": "int"}
AUDIENCE = {"tag": "string", "user_id": "string", "score": "float"}
PROFILE_DIFF = {
    "task": "string",
    "tag": "string",
    "gained": "bigint",
    "lost": "bigint",
    "kept": "bigint",
    "score_shift": "double",
}


def labels_of(kinds: Iterable[str] = ()) -> dict[str, str]:
    """LABELS, and action_<kind> for kinds of action: label -> the column that says whether it is defined."""
    return {label: defined_by(label) for label in [*LABELS, *map(kind_label, kinds)]}


def defined_by(label: str) -> str:
    """The column that says whether a label is defined; a kind of action is where the action is."""
    return LABELS["action" if label.startswith(kind_label("")) else label]


def kind_label(kind: str) -> str:
    return f"action_{kind}"


def label_columns(kinds: Iterable[str] = ()) -> list[str]:
    """All labels, then the columns that say whether they are defined."""
    labels = labels_of(kinds)
    return [*labels, *dict.fromkeys(labels.values())]


def feature_columns(feature: Feature) -> list[str]:
    """Flat columns of one feature: f_<name>, or f_<name>_0.. for a multi-valued one."""
    if feature.kind == "multi":
        return [f"f_{feature.name}_{n}" for n in range(feature.length)]
    return [f"f_{feature.name}"]


def columns_of(features: Iterable[Feature]) -> list[str]:
    return [column for feature in features for column in feature_columns(feature)]


def value_column(feature: Feature) -> str:
    """The column that holds a numeric feature as it is, NaN where it is missing or no finite float."""
    return f"v_{feature.name}"


def value_columns(features: Iterable[Feature]) -> list[str]:
    return [value_column(feature) for feature in features if feature.kind == "numeric"]


def samples_schema(settings: Settings) -> dict[str, str]:
    """Keys, labels, ids of all features, and numeric features once more as they are."""
    labels = dict.fromkeys(label_columns(settings.labels.kinds), "float")
    ids = dict.fromkeys(columns_of(settings.features), "int")
    return {**KEYS, **labels, **ids, **dict.fromkeys(value_columns(settings.features), "float")}


def users_schema(features: Iterable[Feature]) -> dict[str, str]:
    """The table of all users to tag: one row a user, features of table `users` encoded."""
    return {"user_id": "string", **dict.fromkeys(columns_of(f for f in features if f.table == "users"), "int")}
