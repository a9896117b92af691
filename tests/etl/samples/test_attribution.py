"""impression -> click -> action -> conversion, on rows made by hand."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from pyspark.sql import SparkSession

from conf.settings.run_file import Attribution, Labels
from etl.samples import quality
from etl.samples.attribution import attribute, window_days
from etl.samples.labels import labels
from etl.sources.base import RawTables

DAY, NEXT = date(2026, 3, 2), date(2026, 3, 3)
HOURS = Attribution(click_hours=2, action_hours=2, conversion_hours=30)
KINDS = {
    "impressions": "impression_id string, user_id string, item_id string, ts bigint, day date, domain string",
    "clicks": "impression_id string, user_id string, item_id string, ts bigint, day date",
    "actions": "impression_id string, user_id string, item_id string, ts bigint, day date, action string",
    "conversions": (
        "impression_id string, user_id string, item_id string, ts bigint, day date, value double, converted int"
    ),
}


def at(hour: float, day: date = DAY) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000 + hour * 3_600_000)


def row(**fields: Any) -> dict[str, Any]:
    """Impression a of user u and item i, or an event that follows it, at noon."""
    base = {"impression_id": "a", "user_id": "u", "item_id": "i", "ts": at(12), "day": DAY, "domain": "d"}
    return {**base, "action": "like", "value": 0.8, "converted": None, "refused": None, "raw": None, **fields}


def tables(spark: SparkSession, match: tuple[str, ...] = ("impression_id",), **rows: list[dict[str, Any]]) -> RawTables:
    made = {}
    for name, kind in KINDS.items():
        schema = f"{kind}, refused string, raw string"
        columns = [part.split()[0] for part in schema.split(", ")]
        made[name] = spark.createDataFrame([[r[c] for c in columns] for r in rows.get(name, [])], schema)
    return RawTables(**made, users=None, items=None, match=match)


def outcome(raw: RawTables, kinds: Labels = Labels()) -> tuple[dict[str, Any], list[tuple[Any, ...]]]:  # noqa: B008
    """Labels by impression, and (table, day it counts for, reason) of every refused event."""
    shown = quality.usable(quality.checked_impressions(raw))
    events = attribute(raw, shown, HOURS)
    refused = [(r.table, r.dt, r.reason) for r in events.where("reason is not null").collect()]
    return {r.impression_id: r for r in labels(events, kinds).collect()}, sorted(refused, key=str)


def test_an_event_counts_for_its_impression_up_to_the_end_of_its_window(spark):
    raw = tables(
        spark,
        impressions=[row(), row(impression_id="b")],
        clicks=[row(ts=at(14)), row(impression_id="b", ts=at(14) + 1)],
        conversions=[row(ts=at(18, NEXT), day=NEXT)],
    )
    found, refused = outcome(raw)
    assert set(found) == {"a"}
    assert (found["a"].dt, found["a"].click, found["a"].converted) == (DAY, 1, 1)
    assert found["a"].conversion == pytest.approx(0.8)
    assert refused == [("clicks", DAY, "no impression within 2 hours")]


def test_an_event_before_or_without_its_impression_is_quarantined_on_its_own_day(spark):
    raw = tables(
        spark,
        impressions=[row()],
        clicks=[row(ts=at(11)), row(impression_id="nobody", ts=at(1, NEXT), day=NEXT)],
    )
    found, refused = outcome(raw)
    assert found == {}
    assert refused == [
        ("clicks", DAY, "no impression within 2 hours"),
        ("clicks", NEXT, "no impression within 2 hours"),
    ]


def test_actions_and_conversions_without_a_click_are_quarantined_and_set_no_label(spark):
    raw = tables(spark, impressions=[row()], actions=[row()], conversions=[row()])
    found, refused = outcome(raw)
    assert refused == [("actions", DAY, "no click"), ("conversions", DAY, "no click")]
    a = found["a"]
    assert (a.click, a.click_defined) == (0, 1)
    assert (a.action, a.action_defined, a.conversion, a.converted, a.conversion_defined) == (0, 0, 0, 0, 0)


def test_after_a_click_a_missing_event_is_a_defined_zero(spark):
    a = outcome(tables(spark, impressions=[row()], clicks=[row()]))[0]["a"]
    assert (a.action, a.action_defined, a.conversion, a.conversion_defined) == (0, 1, 0, 1)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"value": 1.5}, "value outside [0,1]"),
        ({"value": -0.1}, "value outside [0,1]"),
        ({"value": float("nan")}, "value outside [0,1]"),
        ({"value": None}, "value outside [0,1]"),
        ({"value": None, "refused": "zero duration"}, "zero duration"),
        ({"ts": None}, "null key"),
    ],
)
def test_a_conversion_with_an_unusable_value_leaves_the_label_undefined(spark, fields, reason):
    raw = tables(spark, impressions=[row()], clicks=[row()], conversions=[row(**fields)])
    found, refused = outcome(raw)
    assert refused == [("conversions", DAY, reason)]
    a = found["a"]
    assert (a.conversion, a.converted, a.conversion_defined, a.action_defined) == (0, 0, 0, 1)


def test_a_click_without_time_leaves_the_whole_chain_undefined(spark):
    found, refused = outcome(tables(spark, impressions=[row()], clicks=[row(ts=None)], actions=[row()]))
    assert refused == [("actions", DAY, "no click"), ("clicks", DAY, "null key")]
    assert (found["a"].click, found["a"].click_defined, found["a"].action_defined) == (0, 0, 0)


def test_without_ids_an_event_belongs_to_the_latest_impression_of_its_user_and_item(spark):
    views = [row(), row(impression_id="b", ts=at(13)), row(impression_id="c", item_id="other", ts=at(13.2))]
    raw = tables(
        spark,
        ("user_id", "item_id"),
        impressions=views,
        clicks=[row(impression_id=None, ts=at(12.5)), row(impression_id=None, ts=at(13))],
        actions=[row(impression_id=None, ts=at(13.5))],
    )
    found, refused = outcome(raw)
    assert {name: (r.n_clicks, r.action) for name, r in found.items()} == {"a": (1, 0), "b": (1, 1)}
    assert refused == []


def test_only_the_listed_kinds_of_action_set_the_label_and_others_still_count_as_used(spark):
    raw = tables(spark, impressions=[row()], clicks=[row()], actions=[row(action="share")])
    a = outcome(raw, Labels(actions=["like"]))[0]["a"]
    assert (a.action, a.action_defined, a.n_actions) == (0, 1, 1)


def test_each_listed_kind_of_action_is_a_label_defined_where_action_is(spark):
    raw = tables(
        spark,
        impressions=[row(), *(row(impression_id=i) for i in "bcd")],
        clicks=[row(), row(impression_id="b"), row(impression_id="c")],
        actions=[
            row(action="follow"),
            row(action="follow", ts=at(13)),
            row(action="value"),
            row(impression_id="b", action="like", ts=None),
            row(impression_id="d", action="like"),
        ],
    )
    found, _ = outcome(raw, Labels(actions=["like"], kinds=["like", "follow", "value"]))
    # a: followed twice and valued, no like; b: its like has no time; c: no action; d: no click, so nothing is defined
    actions = {
        i: (r.action_defined, r.action, r.action_like, r.action_follow, r.action_value) for i, r in found.items()
    }
    assert actions == {"a": (1, 0, 0, 1, 1), "b": (0, 0, 0, 0, 0), "c": (1, 0, 0, 0, 0), "d": (0, 0, 0, 0, 0)}
    assert "action_like" not in outcome(raw)[0]["a"].asDict()


@pytest.mark.parametrize(("value", "given", "converted"), [(0.5, None, 1), (0.49, None, 0), (0.9, 0, 0), (0.1, 1, 1)])
def test_converted_is_what_the_source_gives_or_else_a_value_from_the_threshold_on(spark, value, given, converted):
    raw = tables(spark, impressions=[row()], clicks=[row()], conversions=[row(value=value, converted=given)])
    assert outcome(raw)[0]["a"].converted == converted


def test_exact_duplicates_of_an_event_are_refused_and_change_nothing(spark):
    raw = tables(spark, impressions=[row()], clicks=[row(), row(), row(ts=at(13))])
    found, refused = outcome(raw)
    assert refused == [("clicks", DAY, "duplicate")]
    assert (found["a"].n_clicks, found["a"].click) == (2, 1)


@pytest.mark.parametrize(("hours", "days"), [(1, 1), (24, 1), (24.5, 2), (72, 3)])
def test_days_read_around_a_day_cover_the_longest_window(hours, days):
    assert window_days(Attribution(click_hours=1, action_hours=1, conversion_hours=hours)) == days
