"""Event logs of several shapes, mapped by the run file alone; every label worked out by hand."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from pydantic import ValidationError

from conf.errors import InputError
from etl import build_samples, build_users
from tests.lakes import runs
from tests.lakes.tables import hashes

ONE, TWO = runs.DAY, runs.DAY + timedelta(days=1)
FEATURES: list[dict[str, Any]] = [
    {"name": "user_id", "table": "users", "min_count": 1},
    {"name": "item_id", "table": "items", "min_count": 1},
    {"name": "hour", "table": "impressions", "min_count": 1},
]
CATALOGUE = "sku,topics\ni1,red|blue\ni2,\n"
TAG = {"name": "tag", "table": "items", "column": "tags", "kind": "multi", "length": 2, "min_count": 1}
LABELS = ["click", "action", "conversion", "converted", "click_defined", "conversion_defined"]


def seconds(text: str, zone: str = "UTC") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp())


def build(root: Path, days: list[date], source: dict[str, Any], **sections: Any) -> Any:
    (root / "items.csv").write_text(CATALOGUE)
    items = {"path": str(root / "items.csv"), "map": {"item_id": "sku", "tags": "topics"}}
    settings = runs.settings(root, {"kind": "events", "items": items, **source}, [*FEATURES, TAG], **sections)
    build_samples.build(settings, days)
    return settings


def labels(settings: Any, day: date) -> dict[str, list[float]]:
    return {name: [float(row[c]) for c in LABELS] for name, row in runs.samples(settings, day).iterrows()}


def test_one_table_a_stage_with_ids_and_timestamps_of_a_time_zone(spark, tmp_path):
    (tmp_path / "shown.csv").write_text(
        "id,who,what,when,page\n"
        "a,u1,i1,2026-03-02 00:00:00,home\n"
        "b,u1,i2,2026-03-02 23:59:59.5,\n"
        # the time names another zone: 2 March 16:30 UTC is 3 March in Shanghai
        "c,u2,i1,2026-03-02T16:30:00Z,home\n"
    )
    (tmp_path / "clicked.csv").write_text("id,when\na,2026-03-02 00:00:05\nb,2026-03-03 00:10:00\n")
    (tmp_path / "bought.csv").write_text("id,when,share\na,2026-03-02 09:00:00,0.25\nb,2026-03-03 00:20:00,7\n")
    key = {"impression_id": "id", "ts": "when"}
    settings = build(
        tmp_path,
        [ONE],
        {
            "time": "timestamp",
            "timezone": "Asia/Shanghai",
            "impressions": {
                "path": str(tmp_path / "shown.csv"),
                "map": {**key, "user_id": "who", "item_id": "what", "domain": "page"},
            },
            "clicks": {"path": str(tmp_path / "clicked.csv"), "map": key},
            "conversions": {"path": str(tmp_path / "bought.csv"), "map": {**key, "value": "share"}},
        },
    )
    assert labels(settings, ONE) == {"a": [1, 0, 0.25, 0, 1, 1], "b": [1, 0, 0, 0, 1, 0]}
    assert runs.quarantine(settings, "conversions", ONE)[0][0] == "value outside [0,1]"
    found = runs.samples(settings, ONE)
    assert found["domain"].to_dict() == {"a": "home", "b": "unknown"}
    assert found.loc["a", "ts"] == seconds("2026-03-02 00:00:00", "Asia/Shanghai") * 1000
    ids = runs.vocabulary(settings, ONE).set_index(["feature", "value"])["id"]
    # hours are in the log's time zone; i2 has no tag
    assert found["f_hour"].to_dict() == {"a": ids["hour", "0"], "b": ids["hour", "23"]}
    assert found.loc["a", ["f_tag_0", "f_tag_1"]].tolist() == [ids["tag", "red"], ids["tag", "blue"]]
    assert found.loc["b", ["f_tag_0", "f_tag_1"]].tolist() == [1, 0]


def one_log(tmp_path: Path, rows: list[tuple[Any, ...]], **changes: Any) -> dict[str, Any]:
    """A log without header and without ids: time in seconds, user, kind of event, item."""
    (tmp_path / "log.csv").write_text("".join(";".join(map(str, row)) + "\n" for row in rows))
    table = {
        "path": str(tmp_path / "log.csv"),
        "header": False,
        "separator": ";",
        "columns": ["t", "visitor", "event", "item"],
        "map": {"user_id": "visitor", "item_id": "item", "ts": "t"},
    }
    kinds = {"clicks": "click", "actions": "cart", "conversions": "buy"}
    steps = {name: {**table, "where": {"event": [kind]}} for name, kind in kinds.items()}
    shown = {**table, "where": {"event": ["view"]}}
    return {"time": "seconds", "match": "user_item_time", "impressions": shown, **steps, **changes}


def test_one_log_of_all_events_without_ids(spark, tmp_path):
    noon = seconds("2026-03-02 12:00:00")
    source = one_log(
        tmp_path,
        [
            (noon, "u1", "view", "i1"),
            (noon + 60, "u1", "click", "i1"),
            # the same item shown again: what follows belongs to the later view
            (noon + 600, "u1", "view", "i1"),
            (noon + 660, "u1", "click", "i1"),
            (noon + 700, "u1", "cart", "i1"),
            (noon + 800, "u1", "buy", "i1"),
            (noon, "u2", "view", "i1"),
            (noon + 10, "u2", "buy", "i1"),
            (noon + 10, "u2", "search", ""),
            (noon - 10, "u3", "click", "i1"),
        ],
    )
    settings = build(tmp_path, [ONE], source)
    at = noon * 1000
    assert labels(settings, ONE) == {
        f"u1-i1-{at}": [1, 0, 0, 0, 1, 1],
        f"u1-i1-{at + 600_000}": [1, 1, 1, 1, 1, 1],
        f"u2-i1-{at}": [0, 0, 0, 0, 1, 0],
    }
    manifest = runs.manifest(settings, ONE)
    assert manifest["rows_in"] == {
        "impressions": 3,
        "clicks": 3,
        "actions": 1,
        "conversions": 2,
        "users": 0,
        "items": 2,
    }
    assert manifest["quarantined"]["clicks"] == {"no impression within 24 hours": 1}
    assert manifest["quarantined"]["conversions"] == {"no click": 1}
    build_users.build(settings, ONE)
    assert set(pd.read_parquet(tmp_path / f"lake/users/dt={ONE}")["user_id"]) == {"u1", "u2"}


def test_a_page_view_can_stand_for_impression_and_click(spark, tmp_path):
    noon = seconds("2026-03-02 12:00:00")
    rows = [(noon, "u1", "view", "i1"), (noon, "u1", "view", "i1"), (noon + 5, "u1", "buy", "i1")]
    settings = build(tmp_path, [ONE], one_log(tmp_path, rows, implied_clicks=True, clicks=None))
    assert labels(settings, ONE) == {f"u1-i1-{noon * 1000}": [1, 0, 1, 1, 1, 1]}
    refused = runs.manifest(settings, ONE)["quarantined"]
    assert (refused["impressions"], refused["clicks"]) == ({"duplicate": 1}, {"duplicate": 1})


def parquet_days(root: Path, rows: list[tuple[Any, ...]]) -> dict[str, Any]:
    """Parquet, a folder a day, milliseconds, arrays; (partition, table, row)."""
    columns = {"shown": ["id", "user", "item", "ms", "seat"], "clicks": ["id", "ms"]}
    for table, names in columns.items():
        for day in (ONE, TWO):
            folder = root / table / f"{day:%Y%m%d}"
            folder.mkdir(parents=True)
            chosen = [row for where, name, row in rows if (where, name) == (day, table)]
            pd.DataFrame(chosen, columns=names).to_parquet(folder / "part-0.parquet")
            (folder / "_SUCCESS").write_text("")
    ids = {"impression_id": "id", "ts": "ms"}
    return {
        "time": "milliseconds",
        "impressions": {
            "path": str(root / "shown/{day:%Y%m%d}"),
            "format": "parquet",
            "map": {**ids, "user_id": "user", "item_id": "item", "seat": "seat"},
        },
        "clicks": {"path": str(root / "clicks/{day:%Y%m%d}"), "format": "parquet", "map": ids},
    }


def test_parquet_partitioned_by_day_and_events_that_cross_midnight(spark, tmp_path):
    late, early = seconds("2026-03-02 23:50:00") * 1000, seconds("2026-03-03 00:05:00") * 1000
    source = parquet_days(
        tmp_path,
        [
            (ONE, "shown", ("a", "u1", "i1", late, 1)),
            (ONE, "shown", ("b", "u1", "i2", early, 1)),
            (TWO, "shown", ("c", "u2", "i1", early, 2)),
            (TWO, "clicks", ("a", early)),
            (TWO, "clicks", ("c", early)),
        ],
    )
    ranged = build(tmp_path, [ONE, TWO], source)
    # b lies in the partition of a day that is not its own; the click of a counts for the day of a
    assert labels(ranged, ONE) == {"a": [1, 0, 0, 0, 1, 1]}
    assert labels(ranged, TWO) == {"c": [1, 0, 0, 0, 1, 1]}
    assert runs.quarantine(ranged, "impressions", ONE)[0][0] == "wrong day"
    assert [runs.manifest(ranged, day)["rows_in"]["clicks"] for day in (ONE, TWO)] == [1, 1]
    daily = tmp_path / "daily"
    daily.mkdir()
    by_day = build(daily, [ONE], source)
    build_samples.build(by_day, [TWO])
    ours, theirs = (
        {path: sha for path, sha in hashes(settings.lake.root).items() if path.endswith(".parquet")}
        for settings in (ranged, by_day)
    )
    assert ours == theirs


def test_malformed_rows_are_quarantined_as_they_were_read(spark, tmp_path):
    noon = seconds("2026-03-02 12:00:00")
    rows = [(noon + n, "u1", "view", f"i{n}") for n in range(4)]
    source = one_log(
        tmp_path, [*rows, ("yesterday", "u1", "view", "i9"), (noon, "u1"), (noon, "u1", "view", "i1", "more")]
    )
    settings = build(tmp_path, [ONE], source)
    assert len(labels(settings, ONE)) == 4
    # four tables read that file; a line that may belong to any of them counts once
    assert [len(runs.quarantine(settings, table, ONE)) for table in ("clicks", "actions", "conversions")] == [0, 0, 0]
    refused = runs.quarantine(settings, "impressions", ONE)
    assert [reason for reason, _ in refused] == ["malformed row"] * 3
    assert [row for _, row in refused if isinstance(row, str)] == [f"{noon};u1", f"{noon};u1;view;i1;more"]
    assert next(row for _, row in refused if isinstance(row, dict))["t"] == "yesterday"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"match": "impression_id"}, "map lacks impression_id"),
        ({"implied_clicks": True}, "not both or none"),
        ({"leak": True}, "'bought' would leak 'event', which reveals conversions"),
        ({"columns": []}, "header = false needs columns"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused_when_the_run_file_loads(tmp_path, change, message):
    source = one_log(tmp_path, [])
    if change.pop("leak", False):
        source["impressions"] = {
            **source["impressions"],
            "where": {"event": ["view", "buy"]},
            "map": {**source["impressions"]["map"], "bought": "event"},
        }
    if "columns" in change:
        source["impressions"] = {**source["impressions"], **change}
        change = {}
    with pytest.raises(ValidationError, match=message):
        runs.settings(tmp_path, {"kind": "events", **source, **change}, [*FEATURES, TAG])


def test_seconds_may_have_fractions_and_utc_is_the_default(spark, tmp_path):
    moment = datetime(2026, 3, 2, 6, 0, 0, 250_000, tzinfo=UTC)
    settings = build(tmp_path, [ONE], one_log(tmp_path, [(moment.timestamp(), "u1", "view", "i1")]))
    assert runs.samples(settings, ONE)["ts"].tolist() == [int(moment.timestamp() * 1000)]


def damage(root: Path, how: str) -> str:
    """Damages the Parquet partitions below `root`; returns what the error must say."""
    shown = root / "shown/20260302/part-0.parquet"
    if how == "truncated":
        shown.write_bytes(shown.read_bytes()[:-20])
        return "shown/20260302/part-0.parquet: not a whole Parquet file"
    if how == "missing column":
        pd.read_parquet(shown).drop(columns=["user", "seat"]).to_parquet(shown)
        return "part-0.parquet: no column user, seat; the file has: id, item, ms"
    if how == "mistyped column":
        pd.read_parquet(shown).assign(ms="noon").to_parquet(shown)
        return "column 'ms' has the wrong type: 1 of 1 values do not parse, e.g. 'noon'"
    (root / "clicks/20260302/part-0.parquet").unlink()
    return "no clicks of 2026-03-02; bring the files of that day"


@pytest.mark.parametrize("how", ["truncated", "missing column", "mistyped column", "missing partition"])
def test_damaged_parquet_is_refused_and_nothing_is_published(spark, tmp_path, how):
    source = parquet_days(tmp_path, [(ONE, "shown", ("a", "u1", "i1", seconds("2026-03-02 12:00:00") * 1000, 1))])
    with pytest.raises(InputError, match=damage(tmp_path, how)):
        build(tmp_path, [ONE], source)
    assert not list((tmp_path / "lake").rglob("_MANIFEST.json"))


def test_a_numeric_feature_of_text_is_refused_by_name(spark, tmp_path):
    noon = seconds("2026-03-02 12:00:00")
    chosen = [*FEATURES, TAG, {"name": "topics", "table": "items", "kind": "numeric", "boundaries": [1.0]}]
    source = one_log(tmp_path, [(noon, "u1", "view", "i1")])
    (tmp_path / "items.csv").write_text(CATALOGUE)
    items = {"path": str(tmp_path / "items.csv"), "map": {"item_id": "sku", "tags": "topics", "topics": "topics"}}
    settings = runs.settings(tmp_path, {"kind": "events", "items": items, **source}, chosen)
    message = r"table items: column 'topics' has the wrong type: 1 of 1 values do not parse, e\.g\. 'red\|blue'"
    with pytest.raises(InputError, match=message):
        build_samples.build(settings, [ONE])
