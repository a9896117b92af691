"""The tables between the packages, by hand."""

from pathlib import Path

import pyarrow as pa
import pytest

from etl import contract
from tests.lakes import runs

RUN = runs.simulated(Path("unused"), labels={"kinds": ["like"]})
KEYS = ["impression_id", "user_id", "item_id", "ts", "domain"]


def test_samples_have_keys_labels_ids_and_numbers_in_this_order():
    assert contract.samples_schema(RUN).names == [
        *KEYS,
        *("click", "action", "conversion", "converted", "action_like"),
        *("click_defined", "action_defined", "conversion_defined"),
        *("f_user_id", "f_age", "f_item_id", "f_tag_0", "f_tag_1", "f_duration_s", "f_hour"),
        "v_duration_s",
    ]


def test_the_labels_of_samples_are_those_that_tasks_choose_from():
    names = contract.samples_schema(RUN).names
    assert names[len(KEYS) : names.index("f_user_id")] == contract.label_columns(["like"])


def test_users_have_the_ids_of_their_own_features():
    assert contract.users_schema(RUN.features).names == ["user_id", "f_user_id", "f_age"]


def test_profiles_have_a_list_of_tags_and_scores_for_each_task():
    schema = contract.profiles_schema(["interest", "intention"])
    assert schema.names == ["user_id", "known_features", "interest", "intention"]
    assert schema.field("intention").type == pa.list_(pa.struct([("tag", pa.string()), ("score", pa.float32())]))


def test_spark_knows_a_table_by_the_names_of_its_types():
    schema = contract.PROFILE_DIFF.schema()
    assert contract.spark_types(schema) == {
        "task": "string",
        "tag": "string",
        "gained": "bigint",
        "lost": "bigint",
        "kept": "bigint",
        "score_shift": "double",
    }
    assert contract.ddl(contract.AUDIENCE.schema()) == "`tag` string, `user_id` string, `score` float"


@pytest.mark.parametrize("name", contract.TABLES)
def test_every_published_table_says_where_it_is_who_makes_it_and_what_it_means(name):
    table = contract.TABLES[name]
    assert table.path.split("/")[0] == name
    assert Path(table.made_by.replace(".", "/") + ".py").is_file()
    assert table.description and all(column.meaning for column in table.columns)
