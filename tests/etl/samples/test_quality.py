"""The reasons for which rows are refused."""

from datetime import date

import pytest

from conf.errors import InputError
from etl.samples import quality
from etl.samples.row_counts import check_balance, count_rows
from tests.etl.samples.test_attribution import NEXT, at, row, tables


def reasons(raw):
    found = quality.checked_impressions(raw).collect()
    return sorted((r.impression_id or "", r.domain, r.reason) for r in found)


def test_of_rows_with_one_id_the_least_is_kept_in_any_order(spark):
    two = [row(domain="y"), row(domain="x")]
    expected = [("a", "x", None), ("a", "y", "duplicate")]
    assert reasons(tables(spark, impressions=two)) == reasons(tables(spark, impressions=two[::-1])) == expected


def test_an_id_may_occur_again_on_another_day(spark):
    assert reasons(tables(spark, impressions=[row(), row(day=NEXT, ts=at(1, NEXT))])) == [("a", "d", None)] * 2


@pytest.mark.parametrize("key", ["impression_id", "user_id", "item_id", "ts"])
def test_an_impression_without_a_key_is_refused(spark, key):
    assert reasons(tables(spark, impressions=[row(**{key: None})]))[0][2] == "null key"


@pytest.mark.parametrize(
    ("ts", "reason"), [(at(0), None), (at(24) - 1, None), (at(24), "wrong day"), (at(0) - 1, "wrong day")]
)
def test_a_time_outside_its_partition_is_a_wrong_day(spark, ts, reason):
    assert reasons(tables(spark, impressions=[row(ts=ts)])) == [("a", "d", reason)]


def test_users_are_refused_when_repeated_or_without_id(spark):
    users = spark.createDataFrame(
        [("u", "20s", None, None), ("u", "30s", None, None), (None, "20s", None, None)],
        "user_id string, age string, refused string, raw string",
    )
    found = {(r.user_id, r.age, r.reason) for r in quality.checked_snapshot(users, "user_id").collect()}
    assert found == {("u", "20s", None), ("u", "30s", "duplicate"), (None, "20s", "null key")}


def test_lost_rows_stop_the_job():
    check_balance("clicks", date(2026, 3, 2), 10, 8, 2)
    with pytest.raises(InputError, match="table clicks, day 2026-03-02: 10 rows in, but 8 out and 1 quarantined"):
        check_balance("clicks", date(2026, 3, 2), 10, 8, 1)


def test_a_row_that_was_not_judged_stops_the_job(spark):
    raw = tables(spark, impressions=[row(), row(impression_id="b")])
    judged = quality.checked_impressions(raw)
    events = spark.createDataFrame([], "table string, day date, dt date, reason string")
    with pytest.raises(InputError, match="2 rows read, but 1 judged"):
        count_rows(raw, judged.where("impression_id = 'a'"), events, {})
