"""What each expert adds to a score."""

import math

import pytest
import torch

from conf import cli
from conf.errors import InputError
from conf.settings.run_file import Settings
from tagging import explain
from tagging.scoring.inputs import open_inputs
from tests.lakes.settings import DEMO
from tests.lakes.tagger import literal, trained
from tests.lakes.tagging import DAY, TASKS, make_lake, user_ids
from trainer.daily.open import open_tagger


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return make_lake(tmp_path_factory.mktemp("explain"))


@pytest.mark.parametrize("task", TASKS)
def test_contributions_are_mvke_eq_7_by_expert_and_sum_to_the_models_own_logit(lake: Settings, task: str) -> None:
    inputs = open_inputs(open_tagger(lake), DAY)
    ids = explain.read_user(inputs, "u12")
    assert ids.tolist() == [user_ids()[12].tolist()]
    column = explain.tag_column(inputs, "tag 9")
    found = explain.explain_task(inputs, inputs.export(), ids, column, task)

    tagger = trained()
    assert found.experts == {"interest": [1, 2, 3], "intention": [2, 3, 4, 5]}[task]
    with torch.inference_mode():
        tag = tagger.tag_vectors(tagger.single_tags(torch.tensor([9])), task)
        gates = tagger.gate(tag, task)[0]
        vectors = tagger.user_vectors(ids, task)[0]
        user = sum(gate * vector for gate, vector in zip(gates, vectors, strict=True))
        wanted = [float(g * (v @ tag[0]) / user.norm() / tag[0].norm()) for g, v in zip(gates, vectors, strict=True)]
    assert found.gates == pytest.approx(gates.tolist(), abs=1e-6)
    assert found.contributions == pytest.approx(wanted, abs=1e-6)
    assert len({round(contribution, 4) for contribution in found.contributions}) == len(
        found.contributions
    )  # so the order of the experts matters
    raw = literal(tagger, user_ids(), task)[12, 7].item()  # tag 9 is the eighth from tag 2 on
    assert torch.sigmoid(torch.tensor(found.logit)).item() == pytest.approx(raw, abs=1e-6)
    assert found.logit == pytest.approx(math.exp(1.5) * found.cosine, abs=1e-5)  # the scale that `trained` has learnt


def test_a_user_without_known_features_is_explained(lake: Settings) -> None:
    lines = list(explain.explain(lake, DAY, "u07", "tag 9"))
    assert lines[0] == "user u07 and tag tag 9, mvke of 2026-01-03; known of the user: nothing"
    assert [line.split(":")[0] for line in lines if "score" in line] == ["\ninterest", "\nintention"]


@pytest.mark.parametrize(
    ("user", "tag", "what"),
    [
        ("nobody", "tag 9", "users/dt=2026-01-03: there is no user 'nobody'"),
        ("u12", "tag 99", "there is no tag 'tag 99' with an id; choose another, e.g. tag 9"),
        ("u12", "rare", "there is no tag 'rare' with an id; choose another, e.g. tag 2, tag 3, tag 4"),
    ],
)
def test_unknown_users_and_tags_are_refused(lake: Settings, user: str, tag: str, what: str) -> None:
    with pytest.raises(InputError, match=what):
        list(explain.explain(lake, DAY, user, tag))


def test_a_retired_tag_is_refused(lake: Settings) -> None:
    retired = lake.model_copy(update={"tagging": lake.tagging.model_copy(update={"retired": ["tag 9"]})})
    with pytest.raises(InputError, match="tag 'tag 9' is retired"):
        list(explain.explain(retired, DAY, "u12", "tag 9"))


def test_the_command_prints_a_table(
    lake: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPARSETAG_LAKE__ROOT", str(lake.lake.root))
    arguments = ["--config", str(DEMO), "--day", str(DAY), "--user", "u12", "--tag", "tag 9"]
    monkeypatch.setattr("sys.argv", ["explain", *arguments])
    cli.run(explain.main)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ")] == [
        "expert", "1", "2", "3", "sum", "expert", "2", "3", "4", "5", "sum",
    ]  # fmt: skip
