"""Run and model files: complete, typed, and refused with file, key and hint before any work starts."""

from pathlib import Path

import pytest

from conf.errors import InputError
from conf.load import MODELS, load_model, load_settings
from conf.settings.model_file import needs_masks
from trainer.models.build import build

RUN_FILES = {"demo.toml", "domains.toml", "kuairand.toml", "ml100k.toml", "shop.toml"}
TAGGERS = {
    "mvke", "mvke_st", "mvke_sparse", "two_tower", "two_tower_hard", "two_tower_moe", "two_tower_mmoe", "two_tower_cgc",
    "two_tower_sparse", "two_tower_negatives", "two_tower_hard_negatives", "mvke_negatives",
    "mvke_k4", "mvke_k7", "mvke_k10", "two_tower_adaptdhm",
}  # fmt: skip
MODEL_FILES = TAGGERS | {
    "single", "hard", "sparse_weight", "s_neuron", "s_weight_taskbalance", "s_weight_gradientconflict",
    "s_weight_multiview", "s_weight_biggernet", "s_weight_tuning", "moe", "mmoe", "cgc", "dnn", "dnn_os", "esmm",
    "esm2", "esm2_tanh", "sparse_esm2", "sparse_more_tasks", "gbdt", "single_mean", "s_weight_mean",
    "s_weight_multiview_mean", "separate", "shared_bottom", "ple", "star", "star_full", "adaptdhm", "adaptdhm_user",
    "adaptdhm_domain",
    "adaptdhm_domain_k1", "adaptdhm_domain_k2", "adaptdhm_domain_k3", "adaptdhm_domain_k9",
    "adaptdhm_domain_k16", "sparse_adaptdhm", "esm2_adaptdhm",
}  # fmt: skip
NETWORKS = MODEL_FILES - {"gbdt"}


def changed(tmp_path: Path, old: str, new: str, name: str = "demo") -> Path:
    text = Path(f"conf/{name}.toml").read_text()
    assert old in text
    path = tmp_path / "changed.toml"
    path.write_text(text.replace(old, new, 1))
    return path


def test_the_run_files_and_models_are_exactly_these():
    assert {path.name for path in Path("conf").glob("*.toml")} == RUN_FILES
    assert {path.stem for path in MODELS.glob("*.toml")} == MODEL_FILES


@pytest.mark.parametrize("name", sorted(RUN_FILES))
@pytest.mark.parametrize("model", sorted(NETWORKS))
def test_every_network_builds_under_every_run_file(name, model):
    settings = load_settings(f"conf/{name}")
    sizes = {feature.name: 5 + len(feature.boundaries) for feature in settings.features}
    network = build(load_model(model), settings, sizes)
    of_esm2 = ("ctr", "action", "cvr_after_action", "cvr_without_action")
    others = dict.fromkeys(TAGGERS, ("interest", "intention")) | {
        "esm2": of_esm2,
        "esm2_tanh": of_esm2,
        "sparse_esm2": of_esm2,
        "esm2_adaptdhm": of_esm2,
    }
    others["sparse_more_tasks"] = ("ctr", "cvr", "like", "follow")
    assert network.heads == others.get(model, ("ctr", "cvr"))


def test_models_of_another_network_or_pruning_have_masks_of_their_own():
    """Masks fit one shape and one way of pruning; models that differ in their losses or in ema_decay share them."""
    suffixes = {name: model.sharing.mask_suffix for name in MODEL_FILES if needs_masks(model := load_model(name))}
    assert suffixes == {
        "sparse_weight": None,
        "s_weight_taskbalance": None,
        "s_weight_gradientconflict": None,
        "s_weight_tuning": None,
        "s_weight_mean": None,
        "s_weight_multiview_mean": "multiview",
        "s_neuron": "neuron",
        "s_weight_multiview": "multiview",
        "s_weight_biggernet": "biggernet",
        "sparse_esm2": "esm2",
        "sparse_more_tasks": "more_tasks",
        "two_tower_sparse": "two_tower",
        "mvke_sparse": "mvke",
        "sparse_adaptdhm": "adaptdhm",
    }


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("rounds = 5", "ronds = 5", r"changed.toml: unknown key 'masks.ronds'; did you mean 'rounds'\?"),
        ("rounds = 5", "rounds = 'many'", r"key 'masks.rounds': Input should be a valid integer.*'many'"),
        ("rounds = 5", "", r"key 'masks.rounds' is missing; add it"),
        ("prune_fraction = 0.3", "prune_fraction = 1.5", r"key 'masks.prune_fraction': Input should be less than 1"),
        ('kind = "multi"\nlength = 3', 'kind = "multi"', "kind = 'multi' needs length > 1"),
        ("boundaries = [10, 20", "boundaries = [20, 10", "boundaries must ascend"),
        (
            'model = "sparse_weight"',
            'model = "sparse"',
            "there is no model 'sparse'; choose one of: adaptdhm, .*, cgc, dnn, dnn_os, esm2",
        ),
        ('tag_feature = "tag"', 'tag_feature = "age"', "name a categorical or multi feature of items"),
        ('name = "gender"', 'name = "age"', "feature named twice: age"),
        (
            "[daily]",
            '[domain]\nfeature = "place"\n\n[daily]',
            r"\[domain\] feature = 'place' is not in \[\[features\]\]; name one of: user_id, age, .*, domain, hour;",
        ),
        ("[daily]", '[domain]\nfeature = "tag"\n\n[daily]', "feature = 'tag' has several values; name one of: user_id"),
        ("start = 2026-01-01", 'start = "soon"', "key 'training.start'"),
        ("[lake]", "[lake", "not TOML"),
        ('world = "video"', 'world = "video"\npath = "x"', r"unknown key 'source.path'"),
    ],
)
def test_a_mistake_is_one_line_that_names_file_key_and_hint(tmp_path, old, new, message):
    with pytest.raises(InputError, match=message) as caught:
        load_settings(changed(tmp_path, old, new))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="this file does not exist"):
        load_settings(tmp_path / "none.toml")


def test_the_environment_overrides_the_file(monkeypatch):
    monkeypatch.setenv("SPARSETAG_SOURCE__PATH", "/data/official")
    monkeypatch.setenv("SPARSETAG_MASKS__ROUNDS", "3")
    settings = load_settings("conf/kuairand.toml")
    assert settings.source.path == Path("/data/official") and settings.masks.rounds == 3


def test_an_override_of_nothing_is_refused(monkeypatch):
    monkeypatch.setenv("SPARSETAG_MASK__ROUNDS", "3")
    with pytest.raises(InputError, match="SPARSETAG_MASK__ROUNDS: no such section; did you mean SPARSETAG_MASKS__"):
        load_settings("conf/demo.toml")


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("single", "hidden", "experts = 2\nhidden", r"unknown key 'sharing.experts'; remove it"),
        ("single", 'kind = "single"', 'kind = "soft"', r"key 'sharing': .*'soft'.*'single', 'hard'"),
        ("single", 'kind = "single"', "", r"key 'sharing.kind' is missing; add it"),
        ("mvke", "interest = [1, 2, 3]", "interest = [1, 6]", "name each expert once, from 1 to virtual_kernels = 5"),
        ("mvke", "interest = [1, 2, 3]", "", "must name each of interest, intention"),
        ("gbdt", "depth = 8", "dept = 8", r"unknown key 'dept'; did you mean 'depth'\?"),
        ("mmoe", "experts = 4", "expert = 4", r"unknown key 'sharing.expert'; did you mean 'experts'\?"),
        (
            "mvke",
            "virtual_kernels",
            "virtual_kernel",
            r"unknown key 'sharing.virtual_kernel'; did you mean 'virtual_kernels'\?",
        ),
        (
            "mvke",
            "[sharing.assignment]",
            "[sharing.assigment]",
            r"unknown key 'sharing.assigment'; did you mean 'assignment'\?",
        ),
        (
            "mvke",
            "attention_dim = 16",
            "attention_dim = 0",
            r"key 'sharing.attention_dim': .*greater than or equal to 1",
        ),
        (
            "s_weight_tuning",
            "conflict =",
            "conflikt =",
            r"unknown key 'objective.tasks.cvr.conflikt'; did you mean 'conflict'\?",
        ),
        (
            "esm2",
            'conversion = "yes_no"',
            'convertion = "yes_no"',
            r"'objective.convertion'; did you mean 'conversion'\?",
        ),
        ("esm2_tanh", "numeric =", "numerik =", r"unknown key 'embedding.numerik'; did you mean 'numeric'\?"),
        ("s_weight_multiview", "heads", "head", r"unknown key 'embedding.exclusive.head'; did you mean 'heads'\?"),
        ("dnn_os", "oversample = 10", "oversample = 0", r"key 'objective.tasks.cvr.oversample': .*\(got 0\)"),
        ("esm2", "[objective]", "[objektive]", r"unknown key 'objektive'; did you mean 'objective'\?"),
        ("esm2", 'family = "ranker"', 'famly = "ranker"', r"key 'family' is missing; add it"),
        ("gbdt", "row_share = 0.6", "row_share = 1.2", "row_share.*less than or equal to 1"),
    ],
)
def test_an_impossible_model_is_refused(tmp_path, monkeypatch, name, old, new, message):
    (tmp_path / f"{name}.toml").write_text((MODELS / f"{name}.toml").read_text().replace(old, new, 1))
    monkeypatch.setattr("conf.load.MODELS", tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        load_model(name)
    assert f"{name}.toml" in str(caught.value)
