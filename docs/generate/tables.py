"""The page of all tables: columns and types from etl/contract.py, their meaning from here."""

from collections.abc import Mapping

from conf.load import load_settings
from etl import contract

EXAMPLE = "conf/demo.toml"
RAW = {
    "impressions": "an item that was shown to a user",
    "clicks": "a click on an impression",
    "actions": "something done after a click: a like, a cart",
    "conversions": "what the business wants: a purchase, a video watched",
    "users": "what is known of a user, and any attribute that a feature names",
    "items": "what is known of an item, and any attribute that a feature names",
}
MEANINGS = {
    "impression_id": "the impression",
    "user_id": "the user",
    "item_id": "the item",
    "ts": "time, milliseconds since 1970 UTC",
    "day": "the partition that the row belongs to",
    "domain": "where it was shown: page, tab, placement",
    "action": "kind of action; in samples, 1 when an action of `[labels] actions` followed the click",
    "value": "worth of the conversion, a share in [0, 1]; in the vocabulary, the value itself",
    "converted": "the conversion as yes (1) or no (0); null in raw tables: `[labels] converted_at` decides",
    "click": "1 when a click followed within `[attribution] click_hours`",
    "conversion": "the conversion's value, a share in [0, 1]",
    "click_defined": "1 where the click label counts",
    "action_defined": "1 where the action labels count: clicked impressions",
    "conversion_defined": "1 where the conversion labels count: clicked impressions with a usable value",
    "feature": "the feature",
    "id": "its id: 0 is padding, 1 unseen or missing, 2 and up are values",
    "first_seen": "the first day on which it was seen",
    "count": "how often it was seen so far",
    "task": "what is predicted: ctr, cvr, interest, …",
    "label": "what happened, in [0, 1]",
    "positive": "the label as yes (1) or no (0), for AUC",
    "defined": "1 where the label counts",
    "prediction": "probability, made before the day was trained on",
    "tag": "the tag",
    "score": "calibrated probability: 0.3 means about 30 %",
    "rank": "1 is the user's best tag of the task",
    "gained": "users who have the tag now and had not",
    "lost": "users who had the tag and have it no more",
    "kept": "users who have it on both days",
    "score_shift": "mean change of the score over the users who kept it",
    "known_features": "how many user features are known; 0: the tags are those of an unknown user",
    "interest": "the user's best tags by interest, best first",
    "intention": "the user's best tags by intention, best first",
    "reason": "why the row was refused",
    "row": "the row as it came",
}


def meaning(column: str) -> str:
    """What a column holds; raises KeyError for one that this page does not know."""
    if column.startswith("action_") and column not in MEANINGS:
        return f"1 when the action `{column.removeprefix('action_')}` followed the click (`[labels] kinds`)"
    if column.startswith("f_"):
        return "id of the feature's value, in the day's vocabulary"
    if column.startswith("v_"):
        return "the number itself; NaN where missing"
    return MEANINGS[column]


def published() -> dict[str, tuple[str, Mapping[str, str]]]:
    """Place -> what it is, and its columns."""
    settings = load_settings(EXAMPLE)
    return {
        "samples/dt=D": ("A row an impression: keys, labels, encoded features.", contract.samples_schema(settings)),
        "quarantine/<table>/dt=D": ("Rows refused. Rows in = rows out + rows refused.", contract.QUARANTINE),
        "vocabulary/dt=D": ("A full snapshot of all values so far; it only grows.", contract.VOCABULARY),
        "users/dt=D": ("All users to tag.", contract.users_schema(settings.features)),
        "predictions/<family>/<run>/dt=D": ("Next-day predictions of a model.", contract.PREDICTIONS),
        "user_tags/dt=D/task=T": ("The best tags of each user.", contract.USER_TAGS),
        "audience/dt=D/task=T": ("Everybody who reaches a tag's threshold.", contract.AUDIENCE),
        "profiles/dt=D": (
            "A row a user, for every user of `users/dt=D`: a column for each task of the tagger.",
            {"user_id": "string", "known_features": "int"}
            | dict.fromkeys(("interest", "intention"), "array<struct<tag:string,score:float>>"),
        ),
        "profile_diff/dt=D": ("What changed since the day before.", contract.PROFILE_DIFF),
    }


def raw() -> str:
    """The tables that a source gives."""
    parts = [f"### {name}\n\n{RAW[name].capitalize()}.\n\n{_table(columns)}" for name, columns in contract.RAW.items()]
    return "\n\n".join(parts)


def results() -> str:
    """The tables that the jobs publish."""
    parts = []
    for place, (about, columns) in published().items():
        parts.append(f"### {place.replace('<', '&lt;')}\n\n{about}\n\n{_table(columns)}")
    return "\n\n".join(parts)


def _table(columns: Mapping[str, str]) -> str:
    rows = [f"| `{name}` | {kind} | {meaning(name)} |" for name, kind in columns.items()]
    return "\n".join(["| column | type | meaning |", "|---|---|---|", *rows])
