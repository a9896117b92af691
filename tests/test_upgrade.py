"""Files written for sparsetag 0.1 are refused in one message, with the new name of each changed key."""

from pathlib import Path

import pytest

from conf.errors import InputError
from conf.load import load_model, load_settings
from tests.lakes.settings import DEMO

HARD = """
family = "ranker"
sharing = "hard"
embedding_dim = 16
hidden = [128, 64]
shared_layers = 1
"""
ESM2 = """
family = "ranker"
sharing = "hard"
shared_layers = 0
objective = "esm2"
conversion = "yes_no"
numeric = "tanh"
embedding_dim = 16
hidden = [128, 64]

[tasks.ctavr]
weight = 0.5
"""
MULTIVIEW = """
family = "ranker"
sharing = "sparse_weight"
embedding_dim = 16
exclusive_dim = 8
exclusive = ["cvr"]
hidden = [128, 64]
masks = "multiview"
averaging = 0.99

[tasks.cvr]
conflict = 0.5
"""
CGC = """
family = "ranker"
sharing = "cgc"
embedding_dim = 16
hidden = [128, 64]
shared_layers = 1
experts = 2
own_experts = 1
"""
GBDT = """
family = "gbdt"
conversion = "yes_no"
trees = 150
depth = 8
"""
MVKE = """
family = "tagger"
sharing = "assigned"
tasks = ["interest", "intention"]
virtual_kernels = 5
embedding_dim = 16
attention_dim = 16
attention = "residual"
gate = "product"
output_dim = 16
interaction = "fm"
scale = "learned"
drawn = 8
hidden = [64]

[assignment]
interest = [1, 2, 3]
intention = [2, 3, 4, 5]

[optimiser]
batch_size = 32
"""
KIND = "family = 'ranker' now goes with kind = 'network'"
DIM = "embedding_dim is now [embedding] dim"
HIDDEN = (
    "hidden is now [sharing] hidden"
    " (hard: bottom_hidden and tower_hidden; moe, mmoe, cgc: expert_hidden and tower_hidden)"
)
SHARED_LAYERS = "shared_layers is now the split of hidden into bottom_hidden or expert_hidden, and tower_hidden"


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        (HARD, [KIND, "sharing = 'hard' is now [sharing] kind = 'hard'", DIM, HIDDEN, SHARED_LAYERS]),
        (
            ESM2,
            [
                KIND,
                "sharing = 'hard' is now [sharing] kind = 'hard'",
                DIM,
                "numeric is now [embedding] numeric",
                HIDDEN,
                SHARED_LAYERS,
                "objective = 'esm2' is now [objective] kind = 'esm2'",
                "conversion is now [objective] conversion",
                "[tasks] is now [objective.weights], a number a loss",
            ],
        ),
        (
            MULTIVIEW,
            [
                KIND,
                "sharing = 'sparse_weight' is now [sharing] kind = 'sparse_weight'",
                DIM,
                "exclusive is now [embedding.exclusive] heads",
                "exclusive_dim is now [embedding.exclusive] dim",
                HIDDEN,
                "masks is now [sharing] masks",
                "averaging is now ema_decay",
                "[tasks] is now [objective.tasks]",
            ],
        ),
        (
            CGC,
            [
                KIND,
                "sharing = 'cgc' is now [sharing] kind = 'cgc'",
                DIM,
                HIDDEN,
                SHARED_LAYERS,
                "experts is now [sharing] experts",
                "own_experts is now [sharing] task_experts",
            ],
        ),
        (GBDT, ["family = 'gbdt' is now family = 'ranker' and kind = 'gbdt'"]),
        (
            MVKE,
            [
                "sharing = 'assigned' is now [sharing] kind = 'mvke'",
                DIM,
                HIDDEN,
                "virtual_kernels is now [sharing] virtual_kernels",
                "attention_dim is now [sharing] attention_dim",
                "attention is now [sharing] attention",
                "gate is now [sharing] gate",
                "assignment is now [sharing.assignment]",
                "drawn is now negatives",
            ],
        ),
    ],
    ids=["hard", "esm2", "multi-view", "cgc", "gbdt", "mvke"],
)
def test_a_model_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, changes: list[str]) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    monkeypatch.setattr("conf.load.MODELS", tmp_path)
    with pytest.raises(InputError) as refused:
        load_model("mine")
    assert refused.value.where == str(file)
    assert refused.value.what.removeprefix("written for sparsetag 0.1: ").split("; ") == "; ".join(changes).split("; ")
    assert "docs/how-to/upgrade.md" in refused.value.hint and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("sharing", "kind"), [("single", "mvke_single"), ("sparse_weight", "mvke_sparse"), ("assigned", "mvke")]
)
def test_the_kind_of_sharing_of_virtual_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sharing: str, kind: str
) -> None:
    (tmp_path / "mine.toml").write_text(MVKE.replace('"assigned"', f'"{sharing}"'))
    monkeypatch.setattr("conf.load.MODELS", tmp_path)
    with pytest.raises(InputError, match=rf"sharing = '{sharing}' is now \[sharing\] kind = '{kind}';"):
        load_model("mine")


RENAMED = [
    ("mvke_drawn", "mvke_negatives"),
    ("two_tower_drawn", "two_tower_negatives"),
    ("two_tower_hard_drawn", "two_tower_hard_negatives"),
]


@pytest.mark.parametrize(("old", "new"), RENAMED)
def test_a_run_file_with_a_renamed_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> None:
    file = tmp_path / "run.toml"
    text = DEMO.read_text()
    assert 'model = "mvke"' in text
    file.write_text(text.replace('model = "mvke"', f'model = "{old}"'))
    with pytest.raises(InputError, match=rf"run.toml: .*0.1: \[tagger\] model = '{old}' is now '{new}'; change"):
        load_settings(file)
    monkeypatch.setenv("SPARSETAG_TAGGER__MODEL", old)
    with pytest.raises(InputError, match=f"model '{old}' is now '{new}'; use '{new}'"):
        load_settings(DEMO)
    with pytest.raises(InputError, match=f"model '{old}' is now '{new}'; use '{new}'"):
        load_model(old)


def test_a_run_file_with_two_renamed_models_is_refused_once(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    text = DEMO.read_text().replace('model = "mvke"', 'model = "mvke_drawn"')
    file.write_text(text.replace('model = "sparse_weight"', 'model = "two_tower_drawn"'))
    with pytest.raises(InputError, match=r"'two_tower_drawn' is now .*'mvke_drawn' is now 'mvke_negatives'"):
        load_settings(file)


def test_the_models_of_today_are_not_taken_for_old_ones() -> None:
    """Files of the new form load; test_conf.py has the set of them."""
    for _, new in RENAMED:
        assert load_model(new).family == "tagger"


def test_a_run_file_with_renamed_keys_is_refused_once_with_every_new_name(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    text = Path("conf/kuairand.toml").read_text()
    for new, old in (
        ("conversion_threshold", "converted_at"),
        ("prune_fraction", "fraction"),
        ("early_tolerance_hours", "early_hours"),
    ):
        text = text.replace(new, old) if new in text else text.replace("[labels]\n", f"[labels]\n{old} = 0.5\n")
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        load_settings(file)
    for change in (
        "[labels] converted_at is now conversion_threshold",
        "[masks] fraction is now prune_fraction",
        "[source] early_hours is now early_tolerance_hours",
    ):
        assert change in str(caught.value)


def test_an_override_by_its_old_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPARSETAG_MASKS__FRACTION", "0.2")
    with pytest.raises(InputError, match=r"SPARSETAG_MASKS__FRACTION .*is now SPARSETAG_MASKS__PRUNE_FRACTION"):
        load_settings(DEMO)
