"""Where the raw tables come from: the [source] section of a run file."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from conf.settings.base import Section


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
    users: int = Field(3000, ge=10, description="users in the world")
    items: int = Field(600, ge=10, description="items in the world")
    tags: int = Field(24, ge=2, description="tags in the world; an item has one to three")
    impressions: int = Field(20000, ge=100, description="impressions a day")
    seed: int = Field(0, ge=0, description="seed of the world; equal seeds give equal logs")


class EventTable(Section):
    """One step of the chain in somebody's event log, mapped by column names."""

    path: str = Field(description="file, folder or glob; `{day}` in it stands for the partition's day")
    format: Literal["csv", "parquet"] = Field("csv", description="format of the files")
    header: bool = Field(True, description="CSV only: the first line names the columns")
    columns: list[str] = Field(default_factory=list, description="column names of a CSV without header, in order")
    separator: str = Field(",", description="CSV only: what separates the columns")
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
    timezone: str = Field("UTC", description="where a day begins; also the zone of timestamps that name none")
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
