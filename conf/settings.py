"""The meaning, unit and bounds of every setting of a run file.

A run file (conf/demo.toml, conf/kuairand.toml) is complete: it names its data, its lake and its
models. A model file (conf/models/*.toml, see conf/models.py) declares one model. Every setting can be
overridden from the environment as SPARSETAG_<SECTION>__<KEY>, e.g. SPARSETAG_SOURCE__PATH.
"""

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
RunName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


class Section(BaseModel):
    """A table of a run file: unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Lake(Section):
    root: Path = Field(description="folder that holds every artefact (see conf/paths.py)")


class Spark(Section):
    master: str = Field("local[2]", description="Spark master; local[N] runs embedded on N cores")
    driver_memory: str = Field("2g", pattern=r"^\d+[mg]$", description="JVM heap of the driver")
    shuffle_partitions: int = Field(4, ge=1, description="partitions after a shuffle")


class Tracking(Section):
    uri: str = Field(description="MLflow tracking URI, e.g. sqlite:///lake/mlflow.db")
    experiment: str = Field("sparsetag", description="prefix of the MLflow experiment names")


class KuaiRand(Section):
    """The official wide CSVs of KuaiRand-Pure."""

    kind: Literal["kuairand"]
    path: Path = Field(description="folder of the official CSV files")
    timezone: str = Field("Asia/Shanghai", description="time zone in which `date` and `hourmin` are written")
    early_hours: float = Field(3.0, ge=0, description="hours by which `time_ms` may precede the day named by `date`")


class Simulated(Section):
    """A world with known probabilities."""

    kind: Literal["simulated"]
    world: Literal["video", "shop"] = Field(description="video: LT4REC's rates; shop: ESM2's rates")
    users: int = Field(3000, ge=10)
    items: int = Field(600, ge=10)
    tags: int = Field(24, ge=2)
    impressions: int = Field(20000, ge=100, description="impressions a day")
    seed: int = Field(0, ge=0)


class EventTable(Section):
    """One step of the chain in somebody's event log, mapped by column names."""

    path: str = Field(description="file, folder or glob; `{day}` in it stands for the partition's day")
    format: Literal["csv", "parquet"] = "csv"
    header: bool = Field(True, description="CSV only: the first line names the columns")
    columns: list[str] = Field(default_factory=list, description="column names of a CSV without header, in order")
    separator: str = ","
    map: dict[str, str] = Field(description="our column -> theirs, e.g. {user_id = 'visitorid', ts = 'timestamp'}")
    where: dict[str, list[str]] = Field(
        default_factory=dict,
        description="rows kept: their column -> accepted values, e.g. {event = ['view']}; empty keeps all",
    )


_OTHER_TABLES = ("clicks", "actions", "conversions", "users", "items")


class Events(Section):
    """Any CSV or Parquet event log, mapped by conf alone. See docs/your-data.md for worked examples."""

    kind: Literal["events"]
    time: Literal["seconds", "milliseconds", "timestamp"] = Field(description="what a `ts` column holds")
    timezone: str = "UTC"
    match: Literal["impression_id", "user_item_time"] = Field(
        "impression_id", description="how a step finds its impression: by id, or the latest of the same user and item"
    )
    impressions: EventTable
    clicks: EventTable | None = None
    actions: EventTable | None = None
    conversions: EventTable | None = None
    users: EventTable | None = None
    items: EventTable | None = None
    implied_clicks: bool = Field(
        False, description="every impression row is a click as well, e.g. a page view that stands for both"
    )

    @model_validator(mode="after")
    def _one_source_of_clicks(self) -> "Events":
        if (self.clicks is None) == (not self.implied_clicks):
            raise ValueError("name a [source.clicks] table or set implied_clicks = true, exactly one of the two")
        return self

    @model_validator(mode="after")
    def _keys_are_mapped(self) -> "Events":
        by_id, by_pair = {"impression_id"}, {"user_id", "item_id"}
        of_step = {"ts"} | (by_id if self.match == "impression_id" else by_pair)
        needed = {"impressions": {"ts"} | by_pair | of_step, "users": {"user_id"}, "items": {"item_id"}}
        for name, table in self.tables().items():
            if missing := sorted(needed.get(name, of_step) - set(table.map)):
                raise ValueError(f"[source.{name}] map lacks {', '.join(missing)} (match = '{self.match}')")
            if not table.header and not table.columns and table.format == "csv":
                raise ValueError(f"[source.{name}] header = false needs columns: the names of the columns, in order")
            if name in ("users", "items") and "{day" in table.path:
                raise ValueError(f"[source.{name}] path: a table of {name} is one for all days; take {{day}} out")
        return self

    @model_validator(mode="after")
    def _no_feedback_among_features(self) -> "Events":
        keys = {"impression_id", "user_id", "item_id", "ts"}
        feedback: dict[str, str] = {}
        for name in ("clicks", "actions", "conversions"):
            if (table := self.tables().get(name)) and table.path == self.impressions.path:
                told_by = [*table.where, *(theirs for ours, theirs in table.map.items() if ours not in keys)]
                feedback |= dict.fromkeys(told_by, name)
        for ours, theirs in self.impressions.map.items():
            if theirs in feedback and len(self.impressions.where.get(theirs, [])) != 1:
                raise ValueError(
                    f"[source.impressions] map: '{ours}' would leak '{theirs}', which tells of {feedback[theirs]};"
                    " take it out"
                )
        return self

    def tables(self) -> dict[str, EventTable]:
        """The tables that are there, in the order of the chain."""
        named = {name: getattr(self, name) for name in ("impressions", *_OTHER_TABLES)}
        return {name: table for name, table in named.items() if table is not None}


Source = Annotated[KuaiRand | Simulated | Events, Field(discriminator="kind")]


class Attribution(Section):
    """How long after the impression a step still counts as its consequence. Hours."""

    click_hours: float = Field(24.0, gt=0)
    action_hours: float = Field(24.0, gt=0)
    conversion_hours: float = Field(24.0, gt=0)


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

    name: Name
    table: Literal["impressions", "users", "items"] = Field(description="raw table that holds the column")
    kind: Literal["categorical", "multi", "numeric"] = "categorical"
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
