"""MovieLens 100K, mapped by conf/ml100k.toml alone: rows, clicks and domains against pandas."""

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from conf.errors import InputError
from conf.load import load_settings
from conf.settings.run_file import Domain, Lake, Settings
from etl import build_samples
from tests.lakes import runs

DAYS = [date(1998, 2, day) for day in (1, 2, 3)]
FILES = {"impressions": "ratings.csv", "clicks": "ratings.csv", "users": "users.csv", "items": "movies.csv"}


def loaded(folder: Path, root: Path, patch: pytest.MonkeyPatch) -> Settings:
    patch.setenv("SPARSETAG_LAKE__ROOT", str(root / "lake"))
    for table, name in FILES.items():
        patch.setenv(f"SPARSETAG_SOURCE__{table.upper()}__PATH", str(folder / name))
    return load_settings("conf/ml100k.toml")


def ratings(folder: Path) -> pd.DataFrame:
    """Every rating of DAYS with its user and its film; the index is the impression_id."""
    found = pd.read_csv(folder / "ratings.csv").merge(pd.read_csv(folder / "users.csv"), on="user")
    found = found.merge(pd.read_csv(folder / "movies.csv"), on="movie")
    found["day"] = pd.to_datetime(found["at"], unit="s").dt.date
    found.index = pd.Index(found["user"].astype(str) + "-" + found["movie"].astype(str) + "-" + found["at"].astype(str))
    found.index += "000"
    return found[found["day"].isin(DAYS)]


@pytest.fixture(scope="module")
def built(spark, ml100k, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        settings = loaded(ml100k, tmp_path_factory.mktemp("ml100k"), patch)
    build_samples.build(settings, DAYS)
    return settings


def test_a_rating_is_an_impression_and_four_stars_are_a_click(built, ml100k):
    true = ratings(ml100k)
    for day in DAYS:
        found, expected = runs.samples(built, day), true[true["day"] == day]
        assert len(found) == len(expected) > 400
        assert sorted(found.index) == sorted(expected.index)
        assert (found["click"] == (expected["rating"] >= 4).astype(float).reindex(found.index)).all()
        manifest = runs.manifest(built, day)
        assert manifest["rows_in"]["clicks"] == found["click"].sum() > 200
        assert not any(manifest["quarantined"].values())


def test_the_domain_is_the_occupation(built, ml100k):
    found = pd.concat([runs.samples(built, day) for day in DAYS])
    assert (found["domain"] == ratings(ml100k)["occupation"].reindex(found.index)).all()
    assert found["domain"].nunique() > 10


def test_with_age_as_its_feature_the_domain_is_an_age_group(spark, built, ml100k, tmp_path):
    by_age = built.model_copy(update={"domain": Domain(feature="age"), "lake": Lake(root=tmp_path / "lake")})
    build_samples.build(by_age, DAYS[:1])
    found = runs.samples(by_age, DAYS[0])
    groups = ["< 18", "18 to < 25", "25 to < 35", "35 to < 45", "45 to < 50", "50 to < 56", ">= 56"]
    age = pd.cut(ratings(ml100k)["age"], [0, 18, 25, 35, 45, 50, 56, 200], right=False, labels=groups)
    assert (found["domain"] == age.reindex(found.index).astype(str)).all()
    assert found["domain"].nunique() > 3


def test_the_year_of_a_film_is_its_number(built, ml100k):
    found = pd.concat([runs.samples(built, day) for day in DAYS])
    year = pd.to_numeric(ratings(ml100k)["year"], errors="coerce").reindex(found.index)
    assert found["v_year"].equals(year.astype("float32"))


def test_the_rating_cannot_become_a_feature(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARSETAG_SOURCE__IMPRESSIONS__MAP__STARS", "rating")
    with pytest.raises(InputError, match="'stars' would leak 'rating', which reveals clicks; remove it"):
        loaded(tmp_path, tmp_path, monkeypatch)
