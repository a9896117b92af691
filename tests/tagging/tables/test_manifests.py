"""The reports of blocks become manifests, worked out by hand; lost users and rows are noticed."""

from pathlib import Path
from typing import Any

import pytest

from conf.errors import InputError
from tagging.scoring.inputs import Inputs, open_inputs
from tagging.tables import audience, profiles, user_tags
from tests.lakes.tagger import TAGS
from tests.lakes.tagging import DAY, USERS, make_lake
from trainer.daily.open import open_tagger


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    return open_inputs(open_tagger(make_lake(tmp_path)), DAY)


def counts(*first: int) -> list[int]:
    return [*first, *[0] * (len(TAGS) - len(first))]


def block(number: int, users: int, **tags: Any) -> dict[str, Any]:
    """30 of a block's users have two tags each, the first with score 0.5, the second with 0.25."""
    file = {"name": f"part-{number}", "sha256": "x"}
    of_tags = {"users": users, "users_tagged": 30, "rows": 60, "score_sum": 22.5, "top_score_sum": 15.0, **tags}
    return {
        "user_tags": {"interest": {**file, **of_tags, "tag_users": counts(20, 40)}},
        "audience": {"interest": {"reached": 30, "tag_users": counts(30, 5)}},
        "profiles": {**file, "rows": users, "users_without_features": 1},
    }


def test_blocks_add_up(inputs: Inputs) -> None:
    found = user_tags.manifest(inputs, [block(0, 40), block(1, USERS - 40)], "interest")
    assert (found["users"], found["users_tagged"], found["rows"], found["tags_in_use"]) == (USERS, 60, 120, 2)
    assert found["coverage"] == pytest.approx(60 / USERS)
    assert (found["tags_per_user"], found["mean_score"], found["mean_top_score"]) == (2, 0.375, 0.5)
    names = list(inputs.tags.values())
    assert found["popular"] == [[names[1], 80], [names[0], 40]]
    assert [file["name"] for file in found["files"]] == ["part-0", "part-1"]
    of_profiles = profiles.manifest(inputs, [block(0, 40), block(1, USERS - 40)])
    assert (of_profiles["rows"], of_profiles["users_without_features"]) == (USERS, 2)


def test_lost_users_are_noticed(inputs: Inputs) -> None:
    with pytest.raises(InputError, match=r"69 users were scored, not 70"):
        user_tags.manifest(inputs, [block(0, 40), block(1, USERS - 41)], "interest")


def test_audiences_add_up_and_lost_rows_are_noticed(inputs: Inputs) -> None:
    reports = [block(0, 40), block(1, USERS - 40)]
    first, second, third = list(inputs.tags.values())[:3]
    files = [{"name": "part-00000.parquet", "rows": 60}, {"name": "part-00001.parquet", "rows": 10}]
    found = audience.manifest(inputs, reports, "interest", 0.4, {first: 0, second: 1}, files)
    assert (found["rows"], found["reached"], found["from_score"]) == (70, 60, 0.4)
    assert found["audiences"][second] == {"users": 10, "file": "part-00001.parquet"}
    assert found["audiences"][third] == {"users": 0, "file": None}
    with pytest.raises(InputError, match="not all of 70 rows were written"):
        audience.manifest(inputs, reports, "interest", 0.4, {first: 0, second: 1}, files[:1])
