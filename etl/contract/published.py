"""The published tables. Other people read them: columns, types and order stay."""

from collections.abc import Iterable

import pyarrow as pa

from conf.settings.run_file import Feature, Settings
from etl.contract.features import columns_of, kind_label, value_columns
from etl.contract.table import DOUBLE, FLOAT, INT, LONG, STRING, Column, LakeTable

_IMPRESSION_ID = Column("impression_id", STRING, "the impression")
_USER_ID = Column("user_id", STRING, "the user")
_ITEM_ID = Column("item_id", STRING, "the item shown")
_DOMAIN = Column(
    "domain",
    STRING,
    "value of the feature that [domain] names, `18 to < 25` of a number, `unknown` where missing; without such a"
    " feature the impression's own domain",
)
_TAG = Column("tag", STRING, "the tag, as the items table writes it")
_SCORE = Column("score", FLOAT, "calibrated probability; on the [training] start day the model's own")
_FEATURE = Column(
    "f_<feature>", INT, "id of the feature's value: 0 padding, 1 unseen or missing, from 2 the vocabulary"
)

SAMPLES = LakeTable(
    path="samples/dt=D",
    made_by="etl.build_samples",
    description="one impression, with what came of it",
    columns=(
        _IMPRESSION_ID,
        _USER_ID,
        _ITEM_ID,
        Column("ts", LONG, "when it was shown, epoch milliseconds"),
        _DOMAIN,
        Column("click", FLOAT, "1: clicked"),
        Column("action", FLOAT, "1: an action of the kinds in [labels] actions followed the click"),
        Column("conversion", FLOAT, "value of the conversion in [0, 1], e.g. the share watched"),
        Column("converted", FLOAT, "1: the conversion counts as a yes"),
        Column(
            "action_<kind>", FLOAT, "1: an action of this kind followed the click; a column for each [labels] kinds"
        ),
        Column("click_defined", FLOAT, "1: the click label is defined"),
        Column("action_defined", FLOAT, "1: action and every action_<kind> are defined: there was a click"),
        Column("conversion_defined", FLOAT, "1: conversion and converted are defined: there was a click"),
        _FEATURE,
        Column("v_<feature>", FLOAT, "a numeric feature's number; NaN: missing"),
    ),
)
QUARANTINE = LakeTable(
    path="quarantine/<table>/dt=D",
    made_by="etl.build_samples",
    description="one raw row that was refused",
    columns=(
        Column("reason", STRING, "why it was refused"),
        Column("row", STRING, "the row as JSON, or its text where it does not parse"),
    ),
)
VOCABULARY = LakeTable(
    path="vocabulary/dt=D",
    made_by="etl.build_samples",
    description="one value of a feature seen up to the day",
    columns=(
        Column("feature", STRING, "the feature"),
        Column("value", STRING, "the value"),
        Column("id", INT, "its id, which never changes; null: seen too rarely so far"),
        Column("first_seen", STRING, "the first day, YYYY-MM-DD"),
        Column("count", LONG, "impressions that carried it, all days together"),
    ),
)
USERS = LakeTable(
    path="users/dt=D",
    made_by="etl.build_users",
    description="one user to tag",
    columns=(_USER_ID, _FEATURE),
)
PREDICTIONS = LakeTable(
    path="predictions/<family>/<run>/dt=D",
    made_by="trainer.train_day",
    description="one impression and task, predicted by the model of the day before",
    columns=(
        _IMPRESSION_ID,
        _USER_ID,
        _ITEM_ID,
        _DOMAIN,
        Column("task", STRING, "what is predicted, e.g. ctr"),
        Column("label", FLOAT, "what happened, in [0, 1]"),
        Column("positive", FLOAT, "the label as 0 or 1"),
        Column("defined", FLOAT, "1: the label is defined; other rows do not count in metrics"),
        Column("prediction", FLOAT, "the predicted probability"),
    ),
)
USER_TAGS = LakeTable(
    path="user_tags/dt=D/task=T",
    made_by="tagging.tag_users",
    description="one of the best tags of one user",
    columns=(_USER_ID, _TAG, _SCORE, Column("rank", INT, "1: the user's best tag")),
)
PROFILES = LakeTable(
    path="profiles/dt=D",
    made_by="tagging.tag_users",
    description="one user of users/dt=D",
    columns=(
        _USER_ID,
        Column("known_features", INT, "features with a known value; 0: the tags are those of an unknown user"),
        Column("<task>", pa.list_(pa.struct([("tag", STRING), ("score", FLOAT)])), "the task's best tags, best first"),
    ),
)
AUDIENCE = LakeTable(
    path="audience/dt=D/task=T",
    made_by="tagging.tag_users",
    description="one user whose score for a tag reaches [tagging] audience",
    columns=(_TAG, _USER_ID, _SCORE),
)
PROFILE_DIFF = LakeTable(
    path="profile_diff/dt=D",
    made_by="tagging.tag_users",
    description="one tag of a task, compared with the last tagged day",
    columns=(
        Column("task", STRING, "interest, intention or a kind of action"),
        _TAG,
        Column("gained", LONG, "users who have the tag now and did not before"),
        Column("lost", LONG, "users who had the tag before and do not now"),
        Column("kept", LONG, "users who have the tag on both days"),
        Column("score_shift", DOUBLE, "mean change of the score over those who kept the tag"),
    ),
)

TABLES = {
    "samples": SAMPLES,
    "quarantine": QUARANTINE,
    "vocabulary": VOCABULARY,
    "users": USERS,
    "predictions": PREDICTIONS,
    "user_tags": USER_TAGS,
    "profiles": PROFILES,
    "audience": AUDIENCE,
    "profile_diff": PROFILE_DIFF,
}


def samples_schema(settings: Settings) -> pa.Schema:
    """Keys, labels, the ids of all features, and the numbers of numeric ones."""
    return SAMPLES.schema(
        {
            "action_<kind>": map(kind_label, settings.labels.kinds),
            "f_<feature>": columns_of(settings.features),
            "v_<feature>": value_columns(settings.features),
        }
    )


def users_schema(features: Iterable[Feature]) -> pa.Schema:
    """The user id, and the ids of the features of table `users`."""
    return USERS.schema({"f_<feature>": columns_of(f for f in features if f.table == "users")})


def profiles_schema(tasks: Iterable[str]) -> pa.Schema:
    """A column for each task, in the order given."""
    return PROFILES.schema({"<task>": tasks})
