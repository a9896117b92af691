"""The meaning, unit and bounds of every setting of a run file.

A run file (conf/demo.toml, conf/kuairand.toml) is complete: it names its data, its lake and its models. A model file
(conf/models/*.toml, see conf/settings/model_file.py) declares one model. The environment overrides every setting as
SPARSETAG_<SECTION>__<KEY>, e.g. SPARSETAG_SOURCE__PATH.
"""

from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from conf.settings.base import Name, RunName, Section
from conf.settings.source import Source


class Lake(Section):
    """Where results are stored."""

    root: Path = Field(description="folder of all artefacts (places: conf/paths.py); relative to the working folder")


class Spark(Section):
    """The Spark session of the jobs."""

    master: str = Field("local[2]", description="Spark master; local[N] runs Spark inside the job, on N cores")
    driver_memory: str = Field("2g", pattern=r"^\d+[mg]$", description="JVM heap of the driver: 512m, 2g, ...")
    shuffle_partitions: int = Field(4, ge=1, description="number of partitions after a shuffle")


class Log(Section):
    """What jobs print while they work."""

    format: Literal["text", "json"] = Field(
        "text", description="format of log events, one per line: text for people, json for programs"
    )


class Tracking(Section):
    """MLflow."""

    uri: str = Field(description="MLflow tracking URI, e.g. sqlite:///lake/mlflow.db")
    experiment: str = Field("sparsetag", description="prefix of all MLflow experiment names")


class Attribution(Section):
    """How long after an impression an event is still attributed to it."""

    click_hours: float = Field(24.0, gt=0, description="hours from an impression to its click, at most")
    action_hours: float = Field(24.0, gt=0, description="hours from an impression to an action on it, at most")
    conversion_hours: float = Field(24.0, gt=0, description="hours from an impression to its conversion, at most")


class Labels(Section):
    """How events become labels."""

    actions: list[str] = Field(
        default_factory=list, description="kinds of action that set the label `action`; empty: all kinds"
    )
    kinds: list[Name] = Field(
        default_factory=list,
        description="kinds of action that also get a label of their own, action_<kind>; model files use them as tasks",
    )
    conversion_threshold: float = Field(
        0.5,
        ge=0,
        le=1,
        description="smallest conversion value (0 to 1) that sets `converted`; sources with a flag of their own win",
    )

    @model_validator(mode="after")
    def _kinds_are_names_of_their_own(self) -> "Labels":
        if len(set(self.kinds)) < len(self.kinds):
            raise ValueError("kinds lists an action twice; list each once")
        if taken := sorted({"defined", "ctr", "cvr", "ctavr", "ctcvr"} & set(self.kinds)):
            raise ValueError(f"kinds: '{taken[0]}' is the name of another label or task; rename the action in its log")
        return self


class Feature(Section):
    """A column that the models read. Its ids: 0 padding, 1 unseen or missing (trained), 2 and up values."""

    name: Name = Field(description="name of the feature; letters, digits and _, starting with a letter")
    table: Literal["impressions", "users", "items"] = Field(description="raw table that has the column")
    kind: Literal["categorical", "multi", "numeric"] = Field(
        "categorical", description="categorical: one value per row; multi: a list of values; numeric: a number"
    )
    column: str | None = Field(None, description="column of the raw table; by default the feature's name")
    length: int = Field(1, ge=1, description="multi only: number of values kept per row; further ones are dropped")
    boundaries: list[float] = Field(
        default_factory=list, description="numeric only: bucket boundaries in ascending order, in the column's unit"
    )
    cross: bool = Field(
        False, description="whether models add the element-wise products of this feature with every other crossed one"
    )
    min_count: int | None = Field(
        None, ge=1, description="occurrences until a value gets an id; by default [vocabulary] min_count"
    )

    @model_validator(mode="after")
    def _kind_fits(self) -> "Feature":
        if (self.kind == "multi") != (self.length > 1):
            raise ValueError(f"feature '{self.name}': kind = 'multi' needs length > 1, and no other kind has a length")
        if (self.kind == "numeric") != bool(self.boundaries):
            raise ValueError(f"feature '{self.name}': kind = 'numeric' needs boundaries, and no other kind has them")
        if self.boundaries != sorted(set(self.boundaries)):
            raise ValueError(f"feature '{self.name}': boundaries must ascend")
        return self

    @property
    def source_column(self) -> str:
        return self.column or self.name


class Vocabulary(Section):
    """Which values get an id of their own."""

    min_count: int = Field(2, ge=1, description="occurrences, over all days so far, until a value gets an id")


class Domain(Section):
    """Which impressions are of one kind: those of a placement, a tab, a group of users."""

    feature: Name | None = Field(
        None,
        description="name of the feature whose values are the domains (placement, tab, occupation); a numeric feature's"
        " buckets are. Comparisons report by it, and models with a part for each domain have one for each of its ids."
        " A value is a domain of its own once it has an id, so min_count of that feature groups rare values. By"
        " default the feature `domain`, if there is one",
    )


class Training(Section):
    """How ranker and tagger are trained, day by day."""

    start: date = Field(description="first day of training; its model starts from random weights, later ones warm")
    seed: int = Field(
        0,
        ge=0,
        description="seed of initial weights and row order; runs with a seed other than 0 have it in their name",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: the GPU if there is one, else the CPU")
    threads: int = Field(
        1, ge=1, description="number of CPU threads; results depend on it to the bit, small networks are fastest on 1"
    )


class Masks(Section):
    """LT4REC Algorithm 1, run once on the first days."""

    version: RunName = Field("v1", description="name under which the masks are published: masks/<family>/<version>")
    train_days: int = Field(
        ge=1, description="number of days, from [training] start, that each round trains on; the next day validates"
    )
    rounds: int = Field(ge=1, description="number of pruning rounds (n_pruning of LT4REC Algorithm 1)")
    prune_fraction: float = Field(
        gt=0, lt=1, description="share of the remaining weights pruned in each round (q of LT4REC Algorithm 1)"
    )


class Ranker(Section):
    """The ranker that the DAG `daily` trains."""

    model: RunName = Field(description="name of a file in conf/models, without .toml")


class Tagger(Section):
    """The tagger that the DAG `daily` trains."""

    model: RunName = Field(description="name of a file in conf/models, without .toml")
    tag_feature: Name = Field("tag", description="name of the item feature whose values are the tags")


class Tagging(Section):
    """What is published about a day's tags, and when a day is refused."""

    top_k: int = Field(10, ge=1, description="largest number of tags kept per user and task")
    min_score: float = Field(
        0.0, ge=0, le=1, description="smallest score, a calibrated probability, with which a user keeps a tag"
    )
    retired: list[str] = Field(default_factory=list, description="tags that users no longer get")
    audience: dict[Name, float] = Field(
        default_factory=dict,
        description="task -> smallest score (0 to 1) with which a user joins a tag's audience; 0.5 for other tasks",
    )
    min_coverage_ratio: float = Field(
        0.9,
        ge=0,
        description="smallest number of tagged users, as a share of the day before; below it the day is refused."
        " 0 switches the check off",
    )
    max_churn: float = Field(
        0.6,
        ge=0,
        le=1,
        description="largest share of the previous day's tags that users may lose; above it the day is refused."
        " 1 switches the check off",
    )

    @model_validator(mode="after")
    def _audiences_are_probabilities(self) -> "Tagging":
        if wrong := [task for task, score in self.audience.items() if not 0 <= score <= 1]:
            raise ValueError(f"audience of '{wrong[0]}' must be a probability between 0 and 1")
        return self


class Daily(Section):
    """The scheduled DAG."""

    schedule: str = Field("@daily", description="Airflow schedule: a preset or a cron expression, in UTC")
    retries: int = Field(1, ge=0, description="number of retries of a failed task; refused input is never retried")
    last: date | None = Field(None, description="last day of a closed data set; by default days continue without end")


class Settings(BaseSettings):
    """One run file."""

    model_config = SettingsConfigDict(env_prefix="SPARSETAG_", env_nested_delimiter="__", extra="forbid", frozen=True)

    lake: Lake = Field(description="where results are stored")
    spark: Spark = Field(Spark(), description="the Spark session of the jobs")
    log: Log = Field(Log(), description="what jobs print while they work")
    tracking: Tracking = Field(description="MLflow")
    source: Source = Field(description="where the raw tables come from")
    attribution: Attribution = Field(
        Attribution(), description="how long after an impression an event is still attributed to it"
    )
    labels: Labels = Field(Labels(), description="how events become labels")
    vocabulary: Vocabulary = Field(Vocabulary(), description="which values get an id of their own")
    domain: Domain = Field(Domain(), description="which impressions are of one kind")
    training: Training = Field(description="how ranker and tagger are trained, day by day")
    masks: Masks = Field(description="LT4REC Algorithm 1, run once on the first days")
    ranker: Ranker = Field(description="the ranker that the DAG `daily` trains")
    tagger: Tagger = Field(description="the tagger that the DAG `daily` trains")
    tagging: Tagging = Field(Tagging(), description="what is published about a day's tags, and when a day is refused")
    daily: Daily = Field(Daily(), description="the scheduled DAG")
    features: list[Feature] = Field(min_length=1, description="the columns that models read, in any order")

    @property
    def domain_feature(self) -> Feature | None:
        """The feature whose values are the domains: the one that [domain] names, else the one named `domain`."""
        name = self.domain.feature or "domain"
        return next((f for f in self.features if f.name == name and f.kind != "multi"), None)

    @model_validator(mode="after")
    def _features_fit(self) -> "Settings":
        names = [f.name for f in self.features]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"feature named twice: {', '.join(twice)}; keep one")
        tag = next((f for f in self.features if f.name == self.tagger.tag_feature), None)
        if tag is None or tag.table != "items" or tag.kind == "numeric":
            raise ValueError(
                f"[tagger] tag_feature = '{self.tagger.tag_feature}': name a categorical or multi feature of items"
            )
        if not any(f.table == "users" for f in self.features):
            raise ValueError("[[features]]: the tagger needs at least one feature of table 'users'")
        if self.domain.feature and self.domain_feature is None:
            single = ", ".join(f.name for f in self.features if f.kind != "multi")
            why = "has several values" if self.domain.feature in names else "is not in [[features]]"
            raise ValueError(f"[domain] feature = '{self.domain.feature}' {why}; name one of: {single}")
        return self
