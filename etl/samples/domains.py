"""The domain of an impression: the value of the feature whose values are the domains."""

from itertools import pairwise

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from conf.settings.run_file import Feature
from etl.samples.raw_features import raw_column

UNKNOWN = "unknown"


def with_domain(rows: DataFrame, feature: Feature | None) -> DataFrame:
    """Sets `domain` of rows with raw_<feature> columns; without a feature it stays as impressions have it."""
    if feature is None:
        return rows
    raw = F.col(raw_column(feature))
    return rows.withColumn("domain", F.coalesce(_bucket(raw, feature) if feature.boundaries else raw, F.lit(UNKNOWN)))


def _bucket(value: Column, feature: Feature) -> Column:
    """The name of a number's bucket, null where it is missing; buckets are those of encoding.feature_ids."""
    names = bucket_names(feature)
    bucket = F.when(value < feature.boundaries[0], names[0])
    for boundary, name in zip(feature.boundaries[1:], names[1:-1], strict=True):
        bucket = bucket.when(value < boundary, name)
    return F.when(~F.isnan(value), bucket.when(value >= feature.boundaries[-1], names[-1]))


def bucket_names(feature: Feature) -> list[str]:
    """`< 18`, `18 to < 25`, ..., `>= 56`: a name for each bucket of a numeric feature."""
    limits = [f"{boundary:.15g}" for boundary in feature.boundaries]
    between = [f"{low} to < {high}" for low, high in pairwise(limits)]
    return [f"< {limits[0]}", *between, f">= {limits[-1]}"]
