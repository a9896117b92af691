"""Raw values to ids, and what may become a feature."""

from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from conf.errors import InputError
from conf.settings.run_file import Feature
from etl.samples.encoding import Lookup, feature_ids, feature_values, lookups
from etl.samples.feature_checks import feedback_columns, require_columns
from etl.samples.raw_features import counts, joined

DAY, NEXT = 100, 101
TABLE = Lookup(pa.array(["a", "b", "c"]), np.array([2, 3, 4], np.int32), np.array([DAY, NEXT, DAY], np.int32))


def ids(feature, raw, days):
    return [column.to_pylist() for column in feature_ids(feature, raw, TABLE, np.array(days))]


def test_a_value_has_its_id_from_the_day_of_its_admission_and_is_unseen_before():
    feature = Feature(name="f", table="users")
    assert ids(feature, pa.array(["a", "b", "b", "?", None]), [DAY, DAY, NEXT, DAY, DAY]) == [[2, 1, 3, 1, 1]]


def test_a_multi_valued_feature_is_padded_after_its_values():
    feature = Feature(name="f", table="items", kind="multi", length=3)
    raw = pa.array([["c", "a"], ["?", "b", "a"], [], None], pa.list_(pa.string()))
    assert ids(feature, raw, [DAY] * 4) == [[4, 1, 1, 1], [2, 1, 0, 0], [0, 2, 0, 0]]


def test_a_numeric_feature_is_the_number_of_boundaries_reached():
    feature = Feature(name="f", table="items", kind="numeric", boundaries=[10, 60])
    assert ids(feature, pa.array([9.9, 10.0, 59.0, 60.0, None, float("nan")]), [DAY] * 6) == [[2, 3, 3, 4, 1, 1]]


def test_a_number_is_kept_and_one_that_is_not_finite_is_missing():
    values = feature_values(pa.array([9.75, -0.0, None, float("nan"), float("inf"), -1e39]))
    assert str(values.type) == "float" and values.null_count == 0
    np.testing.assert_array_equal(values.to_numpy(), [9.75, 0, *[np.nan] * 4])


def test_a_lookup_knows_the_first_day_of_a_range_that_has_an_id():
    def snapshot(**known):
        return pd.DataFrame([("f", v, i) for v, i in known.items()], columns=["feature", "value", "id"])

    tables = lookups(
        {
            date(1970, 1, 3): snapshot(a=2, b=None),
            date(1970, 1, 4): snapshot(a=2, b=3),
            date(1970, 1, 5): snapshot(a=2, b=3),
        }
    )
    assert dict(zip(tables["f"].values.to_pylist(), tables["f"].admitted.tolist(), strict=True)) == {"a": 2, "b": 3}


def test_joined_takes_each_value_from_its_table_and_counts_each_once_an_impression(spark):
    day = date(2026, 3, 2)
    shown = spark.createDataFrame(
        [(day, "u1", "i1", "9"), (day, "u1", "i2", None), (day, "u2", "i1", "")],
        "dt date, user_id string, item_id string, hour string",
    )
    snapshots = {
        "users": spark.createDataFrame([("u1", "20s")], "user_id string, age string"),
        "items": spark.createDataFrame(
            [("i1", ["x", "x", "", "y", "z"], "12.5"), ("i2", None, "long")],
            "item_id string, tags array<string>, duration_s string",
        ),
    }
    chosen = [
        Feature(name="user_id", table="users"),
        Feature(name="age", table="users"),
        Feature(name="tag", table="items", column="tags", kind="multi", length=2),
        Feature(name="duration_s", table="items", kind="numeric", boundaries=[10]),
        Feature(name="hour", table="impressions"),
    ]
    rows = joined(shown, snapshots, chosen)
    by_key = {(r.user_id, r.item_id): r for r in rows.collect()}
    assert by_key["u1", "i1"].raw_tag == ["x", "y"]
    assert (by_key["u1", "i1"].raw_duration_s, by_key["u1", "i2"].raw_duration_s) == (12.5, None)
    assert by_key["u2", "i1"].raw_age is None
    assert {(r.feature, r.value): r.n for r in counts(rows, chosen).itertuples()} == {
        ("user_id", "u1"): 2,
        ("user_id", "u2"): 1,
        ("age", "20s"): 2,
        ("tag", "x"): 2,
        ("tag", "y"): 2,
        ("hour", "9"): 1,
    }


@pytest.mark.parametrize(
    "column", ["click", "conversion", "converted", "action", "action_like", "is_click", "click_defined", "value"]
)
def test_feedback_never_becomes_a_feature_even_where_the_table_has_it(spark, column):
    table = spark.createDataFrame([], f"impression_id string, {column} string")
    leak = Feature(name="innocent", table="impressions", column=column)
    with pytest.raises(InputError, match=f"column '{column}' is feedback"):
        require_columns([leak], {"impressions": table}, feedback_columns(["like"]) | {"is_click"})


def test_a_feature_of_an_unknown_column_or_the_wrong_kind_is_refused_with_what_there_is(spark):
    table = spark.createDataFrame([], "item_id string, tags array<string>")
    with pytest.raises(InputError, match=r"table items has no column 'colour'; it has: item_id, tags"):
        require_columns([Feature(name="colour", table="items")], {"items": table}, set())
    with pytest.raises(InputError, match=r"categorical, but column 'tags' is array<string>; set kind = 'multi'"):
        require_columns([Feature(name="tags", table="items")], {"items": table}, set())
