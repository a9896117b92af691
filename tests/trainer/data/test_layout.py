"""Where the columns of features are in a batch, by hand."""

import pytest

from conf.settings.run_file import Feature
from trainer.data.layout import Layout

USER, AGE = Feature(name="user", table="users"), Feature(name="age", table="users")
TAG = Feature(name="tag", table="items", kind="multi", length=2)
HOUR = Feature(name="hour", table="impressions")
LAYOUT = Layout.of([TAG, USER, HOUR, AGE])


def test_a_multi_valued_feature_has_several_columns() -> None:
    assert LAYOUT.columns == ["f_tag_0", "f_tag_1", "f_user", "f_hour", "f_age"]


def test_positions_follow_the_features_asked_for() -> None:
    assert LAYOUT.positions([AGE, TAG]) == [4, 0, 1]
    assert LAYOUT.positions([]) == []
    with pytest.raises(KeyError, match="f_region"):
        LAYOUT.positions([Feature(name="region", table="users")])


def test_features_of_a_table_keep_the_order_of_the_layout() -> None:
    assert LAYOUT.of_table("users") == (USER, AGE)
    assert LAYOUT.of_table("items") == (TAG,)
    assert Layout.of([USER]).of_table("impressions") == ()


def test_a_feature_by_name() -> None:
    assert LAYOUT.feature("hour") is HOUR


def test_another_order_has_the_same_features() -> None:
    assert LAYOUT.in_order(["age", "hour", "tag", "user"]).features == (AGE, HOUR, TAG, USER)
    assert LAYOUT.in_order(["user", "tag", "age", "hour"]).columns == [
        "f_user",
        "f_tag_0",
        "f_tag_1",
        "f_age",
        "f_hour",
    ]


def test_features_that_the_order_does_not_name_come_last_as_they_were() -> None:
    assert LAYOUT.in_order(["hour", "gone", "user"]).features == (HOUR, USER, TAG, AGE)
    assert LAYOUT.in_order([]) == LAYOUT
