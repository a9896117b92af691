"""Where the raw tables come from: the [source] section of a run file."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from conf.settings.base import Section


class KuaiRand(Section):
    """The official CSV files of KuaiRand-Pure."""

    kind: Literal["kuairand"] = Field(description="kuairand: the official CSV files of KuaiRand-Pure")
    path: Path = Field(description="folder of the official CSV files")
    timezone: str = Field("Asia/Shanghai", description="IANA time zone of the columns `date` and `hourmin`")
    early_tolerance_hours: float = Field(
        3.0, ge=0, description="hours by which `time_ms` may precede the day of `date`; earlier rows are quarantined"
    )


class Simulated(Section):
    """A simulated world with known probabilities."""

    kind: Literal["simulated"] = Field(description="simulated: a world with known probabilities")
    world: Literal["video", "shop"] = Field(description="rates of the world: video as in LT4REC, shop as in ESM2")
    users: int = Field(3000, ge=10, description="number of users")
    items: int = Field(600, ge=10, description="number of items")
    tags: int = Field(24, ge=2, description="number of tags")
    impressions: int = Field(20000, ge=100, description="number of impressions per day")
    seed: int = Field(0, ge=0, description="seed of the world")
    domains: int = Field(3, ge=1, description="number of domains: d0, which has most impressions, d1, ...")
    distributions: int = Field(
        1,
        ge=1,
        description="number of distributions that the domains belong to; each has users, items, clicks and tastes of"
        " its own",
    )
    opens: dict[str, date] = Field(
        default_factory=dict, description="domain -> first day on which it is shown; others are shown from the start"
    )
    closes: dict[str, date] = Field(
        default_factory=dict, description="domain -> last day on which it is shown; others are shown without end"
    )

    def __hash__(self) -> int:
        """Of every key, the dicts too: hidden parameters are kept by their settings."""
        return hash(self.model_dump_json())

    @model_validator(mode="after")
    def _every_distribution_has_a_domain(self) -> "Simulated":
        if self.distributions > self.domains:
            raise ValueError(
                f"distributions = {self.distributions}, but domains = {self.domains}: each needs a domain, add domains"
            )
        return self

    @model_validator(mode="after")
    def _days_of_domains_fit(self) -> "Simulated":
        names = [f"d{number}" for number in range(self.domains)]
        for key, days in (("opens", self.opens), ("closes", self.closes)):
            if unknown := sorted(set(days) - set(names)):
                raise ValueError(f"{key}: '{unknown[0]}' is no domain; name one of d0 to {names[-1]}")
        for name in sorted(set(self.opens) & set(self.closes)):
            if self.closes[name] < self.opens[name]:
                raise ValueError(f"domain '{name}' closes on {self.closes[name]}, before it opens; change a day")
        if not set(names) - set(self.opens) - set(self.closes):
            raise ValueError("opens and closes name every domain; leave out one, which is shown every day")
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves out younger keys at their defaults, so that hashes of settings are those of lakes without them."""
        younger = {"domains": 3, "distributions": 1, "opens": {}, "closes": {}}
        return {key: value for key, value in dump(self).items() if key not in younger or value != younger[key]}


class EventTable(Section):
    """One raw table, read from files by column names."""

    path: str = Field(description="file, folder or glob; `{day}` in it stands for a day, YYYY-MM-DD")
    format: Literal["csv", "parquet"] = Field("csv", description="format of the files")
    header: bool = Field(True, description="CSV only: whether the first line names the columns")
    columns: list[str] = Field(
        default_factory=list, description="CSV without header only: names of the columns, in order"
    )
    separator: str = Field(",", description="CSV only: character between two columns")
    map: dict[str, str] = Field(
        description="our column -> column of the files, e.g. {user_id = 'visitorid', ts = 'timestamp'}"
    )
    where: dict[str, list[str]] = Field(
        default_factory=dict,
        description="column of the files -> values whose rows are kept, e.g. {event = ['view']}; empty: all rows",
    )


_OTHER_TABLES = ("clicks", "actions", "conversions", "users", "items")


class Events(Section):
    """Any CSV or Parquet event log, mapped by settings alone. docs/how-to/your-data.md has worked examples."""

    kind: Literal["events"] = Field(description="events: an event log of your own, mapped by settings alone")
    time: Literal["seconds", "milliseconds", "timestamp"] = Field(
        description="unit of the `ts` columns: seconds or milliseconds since 1970, or timestamps"
    )
    timezone: str = Field("UTC", description="IANA time zone that cuts the log into days")
    match: Literal["impression_id", "user_item_time"] = Field(
        "impression_id",
        description="how an event finds its impression: by id, or as the latest one of the same user and item",
    )
    impressions: EventTable = Field(description="the impressions")
    clicks: EventTable | None = Field(None, description="the clicks, unless implied_clicks is set")
    actions: EventTable | None = Field(None, description="the actions after a click; none by default")
    conversions: EventTable | None = Field(None, description="the conversions; none by default")
    users: EventTable | None = Field(None, description="the features of users; none by default")
    items: EventTable | None = Field(None, description="the features of items; none by default")
    implied_clicks: bool = Field(
        False, description="whether every impression row is a click too, e.g. a page view that stands for both"
    )

    @model_validator(mode="after")
    def _one_source_of_clicks(self) -> "Events":
        if (self.clicks is None) == (not self.implied_clicks):
            raise ValueError("give either a [source.clicks] table or implied_clicks = true, not both or none")
        return self

    @model_validator(mode="after")
    def _keys_are_mapped(self) -> "Events":
        by_id, by_pair = {"impression_id"}, {"user_id", "item_id"}
        event_keys = {"ts"} | (by_id if self.match == "impression_id" else by_pair)
        needed = {"impressions": {"ts"} | by_pair | event_keys, "users": {"user_id"}, "items": {"item_id"}}
        for name, table in self.tables().items():
            if missing := sorted(needed.get(name, event_keys) - set(table.map)):
                raise ValueError(f"[source.{name}] map lacks {', '.join(missing)} (match = '{self.match}')")
            if not table.header and not table.columns and table.format == "csv":
                raise ValueError(f"[source.{name}] header = false needs columns, the names of the columns in order")
            if name in ("users", "items") and "{day" in table.path:
                raise ValueError(f"[source.{name}] path: the {name} table covers all days; remove {{day}}")
        return self

    @model_validator(mode="after")
    def _no_feedback_among_features(self) -> "Events":
        keys = {"impression_id", "user_id", "item_id", "ts"}
        feedback: dict[str, str] = {}
        for name in ("clicks", "actions", "conversions"):
            if (table := self.tables().get(name)) and table.path == self.impressions.path:
                evidence = [*table.where, *(theirs for ours, theirs in table.map.items() if ours not in keys)]
                feedback |= dict.fromkeys(evidence, name)
        for ours, theirs in self.impressions.map.items():
            if theirs in feedback and len(self.impressions.where.get(theirs, [])) != 1:
                raise ValueError(
                    f"[source.impressions] map: '{ours}' would leak '{theirs}', which reveals {feedback[theirs]};"
                    " remove it"
                )
        return self

    def tables(self) -> dict[str, EventTable]:
        """The tables that are given, in the order impressions, clicks, actions, conversions, users, items."""
        named = {name: getattr(self, name) for name in ("impressions", *_OTHER_TABLES)}
        return {name: table for name, table in named.items() if table is not None}


Source = Annotated[KuaiRand | Simulated | Events, Field(discriminator="kind")]
