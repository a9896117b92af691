"""The meaning, unit and bounds of every setting of a run file.

A run file (conf/demo.toml, conf/kuairand.toml) is complete: it names its data, its lake and its
models. A model file (conf/models/*.toml, see conf/settings/model_file.py) declares one model. Every setting can be
overridden from the environment as SPARSETAG_<SECTION>__<KEY>, e.g. SPARSETAG_SOURCE__PATH.
"""

from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from conf.settings.base import Name, RunName, Section
from conf.settings.source import Source


class Lake(Section):
    root: Path = Field(description="folder that holds every artefact (see conf/paths.py)")


class Spark(Section):
    master: str = Field("local[2]", description="Spark master; local[N] runs embedded on N cores")
    driver_memory: str = Field("2g", pattern=r"^\d+[mg]$", description="JVM heap of the driver")
    shuffle_partitions: int = Field(4, ge=1, description="partitions after a shuffle")


class Log(Section):
    """What jobs print while they work."""

    format: Literal["text", "json"] = Field("text", description="text for people, json for programs: one event a line")


class Tracking(Section):
    uri: str = Field(description="MLflow tracking URI, e.g. sqlite:///lake/mlflow.db")
    experiment: str = Field("sparsetag", description="prefix of the MLflow experiment names")


class Attribution(Section):
    """How long after the impression a step still counts as its consequence. Hours."""

    click_hours: float = Field(24.0, gt=0, description="hours from the impression to its click")
    action_hours: float = Field(24.0, gt=0, description="hours from the impression to an action")
    conversion_hours: float = Field(24.0, gt=0, description="hours from the impression to its conversion")


class Labels(Section):
    actions: list[str] = Field(
        default_factory=list, description="kinds of action that set the action label; empty: all"
    )
    kinds: list[Name] = Field(
        default_factory=list,
        description="kinds of action that are labels of their own too, action_<kind>, for tasks of a model file",
    )
    converted_at: float = Field(
        0.5, ge=0, le=1, description="a conversion value from which `converted` is 1, where the source does not say"
    )

    @model_validator(mode="after")
    def _kinds_are_names_of_their_own(self) -> "Labels":
        if len(set(self.kinds)) < len(self.kinds):
            raise ValueError("kinds names one twice; keep one of each")
        if taken := sorted({"defined", "ctr", "cvr", "ctavr", "ctcvr"} & set(self.kinds)):
            raise ValueError(f"kinds: '{taken[0]}' has a meaning already; rename that action in its log")
        return self


class Feature(Section):
    """A column that becomes model input. Ids: 0 padding, 1 unseen or missing (trained), 2.. values."""

    name: Name = Field(description="name of the feature; its columns in samples are f_<name>")
    table: Literal["impressions", "users", "items"] = Field(description="raw table that holds the column")
    kind: Literal["categorical", "multi", "numeric"] = Field(
        "categorical", description="categorical: one value; multi: a list of values; numeric: a number, in buckets"
    )
    column: str | None = Field(None, description="column of the raw table; the feature's name by default")
    length: int = Field(1, ge=1, description="multi only: values kept per row, the rest is cut")
    boundaries: list[float] = Field(default_factory=list, description="numeric only: ascending bucket boundaries")
    cross: bool = Field(
        False, description="takes part in the cross: element-wise products of every pair of such features"
    )
    min_count: int | None = Field(None, ge=1, description="admission threshold; [vocabulary] min_count by default")

    @model_validator(mode="after")
    def _kind_fits(self) -> "Feature":
        if (self.kind == "multi") != (self.length > 1):
            raise ValueError(f"feature '{self.name}': length > 1 goes with kind = 'multi', and only with it")
        if (self.kind == "numeric") != bool(self.boundaries):
            raise ValueError(f"feature '{self.name}': boundaries go with kind = 'numeric', and only with it")
        if self.boundaries != sorted(set(self.boundaries)):
            raise ValueError(f"feature '{self.name}': boundaries must ascend")
        return self

    @property
    def source_column(self) -> str:
        return self.column or self.name


class Vocabulary(Section):
    min_count: int = Field(
        2, ge=1, description="a value gets its own id once it was seen this often, all days together"
    )


class Training(Section):
    start: date = Field(description="the first day; the model of this day starts cold, every later one warm")
    seed: int = Field(
        0, ge=0, description="seed of initial weights and row order; runs with seed > 0 carry it in their name"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: the GPU when there is one")
    threads: int = Field(1, ge=1, description="CPU threads; small networks are fastest on one, and bits depend on it")


class Masks(Section):
    """LT4REC Algorithm 1, run once on the first days."""

    version: RunName = Field("v1", description="masks/<family>/<version>")
    train_days: int = Field(
        ge=1, description="days from [training] start that each round trains on; the next day validates"
    )
    rounds: int = Field(ge=1, description="n_pruning")
    fraction: float = Field(gt=0, lt=1, description="q: share of the remaining weights pruned in a round")


class Ranker(Section):
    model: RunName = Field(description="file in conf/models, without .toml")


class Tagger(Section):
    model: RunName = Field(description="file in conf/models, without .toml")
    tag_feature: Name = Field("tag", description="the multi-valued item feature that holds the tags")


class Tagging(Section):
    top_k: int = Field(10, ge=1, description="tags kept for each user and task")
    min_score: float = Field(0.0, ge=0, le=1, description="tags scored lower are not kept; a calibrated probability")
    retired: list[str] = Field(default_factory=list, description="tags that no user gets any more")
    audience: dict[Name, float] = Field(
        default_factory=dict,
        description="task -> calibrated probability from which a user belongs to a tag's audience; 0.5 if not named",
    )
    min_coverage_ratio: float = Field(
        0.9, ge=0, description="users with a tag, as a share of the day before; with fewer a day is refused. 0: never"
    )
    max_churn: float = Field(
        0.6,
        ge=0,
        le=1,
        description="share of the tags of the day before that may go; with more a day is refused. 1: never",
    )

    @model_validator(mode="after")
    def _audiences_are_probabilities(self) -> "Tagging":
        if wrong := [task for task, score in self.audience.items() if not 0 <= score <= 1]:
            raise ValueError(f"audience of '{wrong[0]}' is no probability; choose one between 0 and 1")
        return self


class Daily(Section):
    """The scheduled DAG."""

    schedule: str = Field("@daily", description="Airflow schedule: a preset or a cron expression")
    retries: int = Field(1, ge=0, description="times a failed task is tried again; a refused one never is")
    last: date | None = Field(None, description="the last day of a closed data set; none: the days go on")


class Settings(BaseSettings):
    """One run file."""

    model_config = SettingsConfigDict(env_prefix="SPARSETAG_", env_nested_delimiter="__", extra="forbid", frozen=True)

    lake: Lake
    spark: Spark = Spark()
    log: Log = Log()
    tracking: Tracking
    source: Source
    attribution: Attribution = Attribution()
    labels: Labels = Labels()
    vocabulary: Vocabulary = Vocabulary()
    training: Training
    masks: Masks
    ranker: Ranker
    tagger: Tagger
    tagging: Tagging = Tagging()
    daily: Daily = Daily()
    features: list[Feature] = Field(min_length=1)

    @model_validator(mode="after")
    def _features_fit(self) -> "Settings":
        names = [f.name for f in self.features]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"feature named twice: {', '.join(twice)}; keep one of each")
        tag = next((f for f in self.features if f.name == self.tagger.tag_feature), None)
        if tag is None or tag.table != "items" or tag.kind == "numeric":
            raise ValueError(
                f"[tagger] tag_feature = '{self.tagger.tag_feature}': name a categorical or multi feature of items"
            )
        if not any(f.table == "users" for f in self.features):
            raise ValueError("[[features]]: the tagger needs at least one feature of table 'users'")
        return self
