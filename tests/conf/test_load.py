"""Where run files are found, and how mistakes in nested sections are put."""

from pathlib import Path

import pytest

from conf.errors import InputError
from conf.load import MODELS, RUN_FILES, load_model, load_settings


@pytest.mark.parametrize("name", ["shop", "shop.toml", "conf/shop.toml"])
def test_a_packaged_run_file_is_found_from_any_folder(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert load_settings(name).source.world == "shop"


def test_a_file_of_that_name_comes_first(tmp_path, monkeypatch):
    (tmp_path / "conf").mkdir()
    text = (RUN_FILES / "demo.toml").read_text()
    (tmp_path / "conf" / "demo.toml").write_text(text.replace("users = 3000", "users = 77"))
    monkeypatch.chdir(tmp_path)
    assert load_settings("conf/demo.toml").source.users == 77
    assert load_settings("demo").source.users == 3000


@pytest.mark.parametrize("name", ["other/demo.toml", "nothing", "models/mvke.toml"])
def test_any_other_path_is_not_replaced(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    known = "demo, domains, kuairand, ml100k, shop"
    with pytest.raises(InputError, match=f"^{name}: this file does not exist; .* one of: {known}$"):
        load_settings(name)


def test_a_folder_is_no_run_file(tmp_path):
    with pytest.raises(InputError, match=r"not readable: .*Is a directory"):
        load_settings(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("users = 3000", "user = 3000", r"unknown key 'source.user'; did you mean 'users'\?"),
        ('name = "hour"', 'nam = "hour"', r"unknown key 'features.9.nam'; did you mean 'name'\?"),
        ("rounds = 5", "", r"key 'masks.rounds' is missing; add it: number of pruning rounds"),
        ('world = "video"', "", r"key 'source.world' is missing; add it: rates of the world"),
        ('kind = "simulated"', 'kind = "simulate"', r"key 'source': .*'simulate'"),
        ("top_k = 5", "top_k = 5\n[tagging.audience]\ninterest = 'high'", r"key 'tagging.audience.interest': .*'high'"),
    ],
)
def test_a_mistake_is_put_in_the_words_of_the_file(tmp_path, old, new, message):
    text = Path("conf/demo.toml").read_text()
    assert old in text
    (tmp_path / "changed.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        load_settings(tmp_path / "changed.toml")


@pytest.mark.parametrize(
    ("model", "old", "new", "message"),
    [
        ("mmoe", "experts = 4", "expert = 4", r"unknown key 'sharing.expert'; did you mean 'experts'\?"),
        ("hard", "bottom_hidden = [128]", "experts = 4", r"unknown key 'sharing.experts'; remove it"),
        ("gbdt", "depth = 8", "dept = 8", r"unknown key 'dept'; did you mean 'depth'\?"),
        ("mvke", "interest = [1, 2, 3]", "", r"mvke.toml: \[sharing.assignment\] must name each of interest"),
    ],
)
def test_tags_of_unions_are_no_keys(tmp_path, monkeypatch, model, old, new, message):
    text = (MODELS / f"{model}.toml").read_text()
    assert old in text
    (tmp_path / f"{model}.toml").write_text(text.replace(old, new, 1))
    monkeypatch.setattr("conf.load.MODELS", tmp_path)
    with pytest.raises(InputError, match=message):
        load_model(model)
