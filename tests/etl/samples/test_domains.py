"""The domain of a row, from the value of a feature of any kind."""

import pytest

from conf.settings.run_file import Feature
from etl.samples.domains import bucket_names, with_domain

AGE = Feature(name="age", table="users", kind="numeric", boundaries=[18, 25, 56])


def domains(spark, raw, kind, feature):
    rows = spark.createDataFrame([("as shown", value) for value in raw], f"domain string, raw_age {kind}")
    return [row.domain for row in with_domain(rows, feature).collect()]


def test_without_a_feature_it_is_that_of_the_impression(spark):
    assert domains(spark, ["20s"], "string", None) == ["as shown"]


def test_a_category_is_its_own_name(spark):
    feature = Feature(name="age", table="users")
    assert domains(spark, ["20s", None, "30s"], "string", feature) == ["20s", "unknown", "30s"]


def test_a_number_is_named_by_its_bucket(spark):
    raw = [-3.0, 17.9, 18.0, 24.0, 25.0, 55.9, 56.0, float("inf"), None, float("nan")]
    assert domains(spark, raw, "double", AGE) == [
        *("< 18", "< 18", "18 to < 25", "18 to < 25", "25 to < 56", "25 to < 56", ">= 56", ">= 56"),
        *("unknown", "unknown"),
    ]


@pytest.mark.parametrize(
    ("boundaries", "names"),
    [
        ([0.5], ["< 0.5", ">= 0.5"]),
        # near numbers keep names of their own
        ([1e6, 1e6 + 1], ["< 1000000", "1000000 to < 1000001", ">= 1000001"]),
    ],
)
def test_names_of_buckets_tell_them_apart(boundaries, names):
    assert bucket_names(AGE.model_copy(update={"boundaries": boundaries})) == names
