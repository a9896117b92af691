"""The official CSVs: a slice settings by hand, bad files, and the real slice if it is available."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from conf.errors import InputError
from etl import build_samples, build_users
from tests.lakes import runs
from tests.lakes.tables import hashes

ONE = date(2022, 4, 25)
MIDNIGHT = 1650816000000  # of that day in Shanghai
LOG = [
    *("user_id", "video_id", "date", "hourmin", "time_ms"),
    *("is_click", "is_like", "is_follow", "is_comment", "is_forward", "is_hate", "long_view"),
    *("play_time_ms", "duration_ms", "profile_stay_time", "comment_stay_time", "is_profile_enter", "is_rand", "tab"),
]
BASE = dict.fromkeys(LOG, 0) | {
    "user_id": 1, "video_id": 7, "date": 20220425, "hourmin": 1200, "time_ms": MIDNIGHT + 43_200_000,
    "play_time_ms": 5000, "duration_ms": 10_000, "tab": 1,
}  # fmt: skip
FEATURES: list[dict[str, Any]] = [
    {"name": "user_id", "table": "users"},
    {"name": "follow_user_num_range", "table": "users"},
    {"name": "item_id", "table": "items"},
    {"name": "tag", "table": "items", "column": "tags", "kind": "multi", "length": 3},
    {"name": "duration_s", "table": "impressions", "kind": "numeric", "boundaries": [5, 10, 20]},
    {"name": "hour", "table": "impressions"},
]


def row(**fields: Any) -> list[Any]:
    return list({**BASE, **fields}.values())


def write(folder: Path, rows: list[list[Any]]) -> Path:
    folder.mkdir(exist_ok=True)
    lines = [",".join(LOG), *(",".join(map(str, r)) for r in rows)]
    (folder / "log_standard_4_22_to_5_08_pure.csv").write_text("\n".join(lines) + "\n")
    (folder / "user_features_pure.csv").write_text('user_id,follow_user_num_range\n1,"(0,10]"\n2,500+\n2,0\n')
    (folder / "video_features_basic_pure.csv").write_text('video_id,author_id,tag\n7,70,"3,12"\n8,80,\n')
    return folder


def run(root: Path, folder: Path, start: date = ONE, features: list[dict[str, Any]] | None = None) -> Any:
    sections: dict[str, Any] = {"training": {"start": start}, "vocabulary": {"min_count": 1}}
    return runs.settings(root, {"kind": "kuairand", "path": folder}, features or FEATURES, **sections)


def build(root: Path, rows: list[list[Any]]) -> Any:
    settings = run(root, write(root / "csv", rows))
    build_samples.build(settings, [ONE])
    return settings


def test_the_wide_log_becomes_the_behaviour_chain(spark, tmp_path):
    settings = build(
        tmp_path,
        [
            row(is_click=1, is_like=1, long_view=1),
            row(user_id=2, is_click=1, play_time_ms=62_900),
            row(user_id=3, is_click=1, duration_ms=0),
            row(user_id=4, is_like=1, long_view=1),
            row(user_id=5, video_id=8, hourmin=30, time_ms=MIDNIGHT - 2 * 3_600_000),
            row(user_id=6, time_ms=MIDNIGHT - 4 * 3_600_000),
            row(is_click=1, is_like=1, long_view=1),
        ],
    )
    found = runs.samples(settings, ONE).set_index("user_id")
    columns = ["click", "action", "conversion", "converted", "action_defined", "conversion_defined"]
    assert found[columns].T.to_dict("list") == {
        "1": [1, 1, 0.5, 1, 1, 1],
        "2": [1, 0, 1, 0, 1, 1],
        "3": [1, 0, 0, 0, 1, 0],
        "4": [0, 0, 0, 0, 0, 0],
        "5": [0, 0, 0, 0, 0, 0],
    }
    assert runs.manifest(settings, ONE)["quarantined"] == {
        "impressions": {"duplicate": 1, "wrong day": 1},
        "clicks": {"duplicate": 1},
        "actions": {"duplicate": 1, "no click": 1},
        "conversions": {"duplicate": 1, "no click": 1, "zero duration": 1},
        "users": {"duplicate": 1},
        "items": {},
    }
    ids = runs.vocabulary(settings, ONE).set_index(["feature", "value"])["id"]
    assert found.loc["1", ["f_tag_0", "f_tag_1", "f_tag_2"]].tolist() == [ids["tag", "3"], ids["tag", "12"], 0]
    assert found.loc["5", ["f_tag_0", "f_tag_1", "f_tag_2"]].tolist() == [1, 0, 0]
    assert found["f_duration_s"].to_dict() == {"1": 4, "2": 4, "3": 1, "4": 4, "5": 4}
    assert found.loc["5", "f_hour"] == ids["hour", "0"]
    assert found.loc["1", "f_follow_user_num_range"] == ids["follow_user_num_range", "(0,10]"]
    assert found.loc["4", "f_follow_user_num_range"] == 1


def test_rows_that_do_not_parse_are_quarantined_as_text(spark, tmp_path):
    broken = [[*row(user_id=2), "extra"], row(user_id=3)[:5], row(user_id=4, play_time_ms="long")]
    settings = build(tmp_path, [row(), row(video_id=8), row(user_id=9), *broken])
    assert sorted(runs.samples(settings, ONE)["user_id"]) == ["1", "1", "9"]
    refused = runs.quarantine(settings, "impressions", ONE)
    assert [reason for reason, _ in refused] == ["malformed row"] * 3
    assert sum(isinstance(text, str) for _, text in refused) == 2


def refused(root: Path, folder: Path, message: str, day: date = ONE) -> None:
    """The job refuses with the message and publishes nothing."""
    settings = run(root, folder)
    with pytest.raises(InputError, match=message):
        build_samples.build(settings, [day])
    assert not [p for p in settings.lake.root.rglob("*") if p.is_file() and p.suffix != ".lock"]


def test_a_missing_day_is_refused(spark, tmp_path):
    settings = build(tmp_path, [row()])
    before = hashes(settings.lake.root)
    with pytest.raises(InputError, match="day 2022-04-26: the source has no impressions of that day"):
        build_samples.build(settings, [ONE, ONE + timedelta(days=1)])
    assert hashes(settings.lake.root) == before


def test_a_day_without_a_usable_row_is_refused(spark, tmp_path):
    folder = write(tmp_path / "csv", [row(time_ms=MIDNIGHT - 40_000_000)])
    refused(tmp_path, folder, "no impression of that day is usable: 1 wrong day")


def edit(folder: Path, name: str, old: str, new: str) -> Path:
    path = folder / name
    path.write_text(path.read_text().replace(old, new))
    return folder


BAD = {
    "absent folder": (lambda f: f / "nowhere", "there is no such folder; set \\[source\\] path"),
    "absent file": (lambda f: (f / "user_features_pure.csv").unlink() or f, "user_features_pure.csv: there is no such"),
    "empty file": (lambda f: ((f / "user_features_pure.csv").write_text("") and None) or f, "the file is empty"),
    "missing column": (
        lambda f: edit(f, "log_standard_4_22_to_5_08_pure.csv", "is_click", "clicked"),
        "log_standard_4_22_to_5_08_pure.csv: no column is_click; the file has: user_id, video_id",
    ),
    "mistyped column": (
        lambda f: edit(f, "log_standard_4_22_to_5_08_pure.csv", ",5000,", ",long,"),
        "column 'play_time_ms' has the wrong type: 3 of 3 values do not parse, e.g. 'long'",
    ),
    "truncated": (
        lambda f: edit(f, "log_standard_4_22_to_5_08_pure.csv", ",0,0,0,0,1\n1,9", ",0,0,0,0,1\n1"),
        "truncated: its last line has 1 of 19 fields and no end",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_in_one_line_and_nothing_is_published(spark, tmp_path, name):
    change, message = BAD[name]
    folder = write(tmp_path / "csv", [row(), row(user_id=2), row(user_id=3)])
    if name == "truncated":
        log = folder / "log_standard_4_22_to_5_08_pure.csv"
        log.write_text(log.read_text() + "1,9")
    refused(tmp_path, change(folder), message)


@pytest.mark.parametrize("column", ["is_click", "long_view", "is_like", "play_time_ms"])
def test_what_the_log_knows_of_the_outcome_never_becomes_a_feature(spark, tmp_path, column):
    leak = {"name": "innocent", "table": "impressions", "column": column}
    settings = run(tmp_path, write(tmp_path / "csv", [row()]), features=[*FEATURES, leak])
    with pytest.raises(InputError, match=f"column '{column}' is feedback"):
        build_samples.build(settings, [ONE])


def test_the_real_slice_has_the_counts_of_its_csvs(spark, tmp_path, kuairand):
    """The first two days, counted with pandas; 2.4 % of the rows are exact duplicates."""
    days = [ONE, ONE + timedelta(days=1)]
    settings = run(tmp_path, kuairand)
    build_samples.build(settings, days)
    log = pd.read_csv(kuairand / "log_standard_4_22_to_5_08_pure.csv")
    for day in days:
        rows_of_day = log[log["date"] == int(f"{day:%Y%m%d}")]
        key = ["user_id", "video_id", "time_ms"]
        once = rows_of_day.drop_duplicates(key)
        manifest = runs.manifest(settings, day)
        assert manifest["rows_in"]["impressions"] == len(rows_of_day)
        assert manifest["rows"] == len(once)
        assert manifest["quarantined"]["impressions"] == {"duplicate": len(rows_of_day) - len(once)}
        clicked = rows_of_day.groupby(key)["is_click"].max()
        assert manifest["label_sums"]["click"] == clicked.sum()
        exact = rows_of_day.drop_duplicates()
        stray = exact[(exact[["is_like", "is_follow", "is_comment", "is_forward"]].sum(axis=1) > 0)]
        stray = stray[clicked.loc[pd.MultiIndex.from_frame(stray[key])].to_numpy() == 0]
        acts = stray[["is_like", "is_follow", "is_comment", "is_forward"]].to_numpy().sum()
        assert manifest["quarantined"]["actions"]["no click"] == acts
    build_users.build(settings, days[-1])
    users = pd.read_parquet(settings.lake.root / f"users/dt={days[-1]}")
    assert len(users) == 27_285
