"""[domain] of a model file against the features of a run file."""

from pathlib import Path

import pytest

from conf import load
from conf.errors import InputError
from conf.load import load_settings, model_for


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A folder of model files that a test may write to, beside copies of the project's."""
    for path in load.MODELS.glob("*.toml"):
        (tmp_path / path.name).write_text(path.read_text())
    monkeypatch.setattr(load, "MODELS", tmp_path)
    return tmp_path


def write(models: Path, section: str, base: str = "dnn") -> None:
    (models / "mine.toml").write_text(f"{(models / f'{base}.toml').read_text()}\n[domain]\n{section}\n")


def demo_without_a_domain():
    demo = load_settings("conf/demo.toml")
    return demo.model_copy(update={"features": [f for f in demo.features if f.name != "domain"]})


@pytest.mark.parametrize("model", ["star", "shared_bottom", "ple", "separate"])
def test_parts_of_domains_need_a_feature_that_tells_domains_apart(model):
    with pytest.raises(InputError, match=r"names no feature that tells domains apart.*set \[domain\] feature"):
        model_for(demo_without_a_domain(), model)


@pytest.mark.parametrize("model", ["dnn", "adaptdhm", "adaptdhm_user", "two_tower_adaptdhm", "gbdt"])
def test_other_models_do_without(model):
    model_for(demo_without_a_domain(), model)


@pytest.mark.parametrize(
    ("base", "section", "message"),
    [
        (
            "dnn",
            'kind = "adaptdhm"\nclusters = 5\nroute_by = ["city"]',
            r"mine.toml: \[domain\] route_by = 'city': the model has no vector of such a feature or table; choose from"
            r" user_id, age, .*, hour, users, items, impressions",
        ),
        (
            "two_tower",
            'kind = "adaptdhm"\nclusters = 5\nroute_by = ["tag"]',
            r"route_by = 'tag': .* choose from user_id, age, gender, region, users",
        ),
        ("dnn", 'kind = "adaptdhm"\nclusters = 0', "key 'domain.clusters': Input should be greater than 0"),
        ("dnn", 'kind = "adaptdhm"', "key 'domain.clusters' is missing"),
        ("dnn", 'kind = "stars"', "key 'domain'.*'stars'"),
        ("dnn", 'kind = "star"\nclusters = 3', "unknown key 'domain.clusters'"),
        ("mmoe", 'kind = "star"', r"'star' needs \[sharing\] kind = single or hard or sparse_weight or sparse_neuron"),
        ("two_tower", 'kind = "star"', "key 'domain'.*'star'"),
        ("two_tower_mmoe", 'kind = "adaptdhm"\nclusters = 2', r"'adaptdhm' needs \[sharing\] kind = single or hard"),
    ],
)
def test_settings_that_make_no_sense_are_refused_with_what_to_change(models, base, section, message):
    write(models, section, base)
    with pytest.raises(InputError, match=message):
        model_for(load_settings("conf/demo.toml"), "mine")


def test_a_number_that_is_not_embedded_cannot_be_routed_by(models):
    write(models, 'kind = "adaptdhm"\nclusters = 2\nroute_by = ["duration_s"]', "esm2_tanh")
    with pytest.raises(InputError, match="route_by = 'duration_s'"):
        model_for(load_settings("conf/demo.toml"), "mine")
    write(models, 'kind = "adaptdhm"\nclusters = 2\nroute_by = ["duration_s"]', "dnn")
    model_for(load_settings("conf/demo.toml"), "mine")
