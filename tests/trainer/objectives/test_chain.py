"""Probabilities along the chain (ESM2 eq. 1 to 4), the losses over all impressions, and the weights of rows."""

import math
from itertools import product

import pytest
import torch

from conf.load import load_model, load_settings
from conf.settings.objective import Esm2Weights, TaskLoss
from etl.contract import label_columns
from tests.lakes.samples import publish_days, sizes
from trainer.daily.open import open_run
from trainer.data.batch import Batch
from trainer.evaluation.metrics import metrics_by_task
from trainer.evaluation.predict import predict
from trainer.objectives import chain
from trainer.objectives.build import objective_of
from trainer.objectives.losses import cross_entropy_of_log, log_complement
from trainer.objectives.objective import one_step_per_head
from trainer.objectives.ranking import CTR
from trainer.objectives.task import Task
from trainer.training.step_batches import step_batches

HEADS = ("ctr", "action", "cvr_after_action", "cvr_without_action")
LN2 = math.log(2)


def logit(p):
    return math.log(p / (1 - p))


def logits(**probabilities):
    return {head: torch.tensor([logit(p)]) for head, p in probabilities.items()}


def batch(**labels):
    """Rows with the given labels; the others are 0 and undefined."""
    rows = len(next(iter(labels.values())))
    known = {name: torch.tensor(labels.get(name, [0] * rows), dtype=torch.float32) for name in label_columns()}
    return Batch(torch.ones(rows, 1, dtype=torch.long), known, {}, torch.empty(rows, 0))


def objective(name):
    return objective_of(load_model(name), load_settings("conf/demo.toml"))


def test_esm2_by_hand():
    # y1 = .5, y2 = .2, y3 = .6, y4 = .1: cvr = .2 * .6 + .8 * .1 = .2; with 1 - y2 * y3 in the second term it were .208
    found = objective("esm2").probabilities(logits(ctr=0.5, action=0.2, cvr_after_action=0.6, cvr_without_action=0.1))
    assert {name: value.item() for name, value in found.items()} == pytest.approx(
        {"ctr": 0.5, "ctavr": 0.1, "cvr": 0.2, "ctcvr": 0.1}, abs=1e-6
    )


@pytest.mark.parametrize("name", ["esmm", "single"])
def test_ctcvr_is_the_product_of_ctr_and_cvr_by_hand(name):
    found = objective(name).probabilities(logits(ctr=0.3, cvr=0.25))
    assert {name: value.item() for name, value in found.items()} == pytest.approx(
        {"ctr": 0.3, "cvr": 0.25, "ctcvr": 0.075}, abs=1e-6
    )


def test_identities_of_esm2_hold_over_the_whole_range():
    values = (-12.0, -3.0, -0.5, 0.0, 0.7, 2.0, 9.0)
    grid = torch.tensor(list(product(values, repeat=4)))
    found = objective("esm2").probabilities(dict(zip(HEADS, grid.T, strict=True)))
    y1, y2, y3, y4 = 1 / (1 + torch.exp(-grid.double().T))
    assert torch.allclose(found["cvr"].double(), y2 * y3 + (1 - y2) * y4, atol=1e-6)
    assert torch.allclose(found["ctcvr"].double(), y1 * (y2 * y3 + (1 - y2) * y4), atol=1e-6)
    assert torch.allclose(found["ctavr"].double(), y1 * y2, atol=1e-6)


@pytest.mark.parametrize("name", ["esm2", "esmm", "single"])
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_extreme_logits_stay_probabilities_with_finite_losses_and_gradients(name, label):
    of = objective(name)
    grid = torch.tensor(list(product((-40.0, 0.0, 40.0), repeat=len(of.head_names))))
    rows = len(grid)
    given = {head: column.clone().requires_grad_() for head, column in zip(of.head_names, grid.T, strict=True)}
    for probability in of.probabilities(given).values():
        assert torch.isfinite(probability).all() and (probability >= 0).all() and (probability <= 1).all()
    known = batch(**{column: [1.0 if column.endswith("defined") else label] * rows for column in label_columns()})
    for step in of.steps:
        step.loss(given, known).backward()
        for head in step.heads:
            assert torch.isfinite(given[head].grad).all(), head


def test_small_probabilities_keep_their_digits():
    # a product of 1e-6 and 1e-6, which sigmoid and product would also give, and its complement, which 1 - p would not
    found = objective("esmm").log_probabilities({"ctr": torch.tensor([-13.8155]), "cvr": torch.tensor([-13.8155])})
    assert found["ctcvr"].item() == pytest.approx(2 * math.log(1e-6), rel=1e-5)
    assert log_complement(torch.tensor([math.log(0.25)])).item() == pytest.approx(math.log(0.75), rel=1e-6)
    assert log_complement(torch.tensor([-1e-3])).item() == pytest.approx(math.log(-math.expm1(-1e-3)), rel=1e-5)
    assert log_complement(torch.tensor([-30.0])).item() == pytest.approx(-math.exp(-30.0), rel=1e-5)
    assert math.isfinite(log_complement(torch.tensor([0.0])).item())
    each = cross_entropy_of_log(torch.log(torch.tensor([0.25, 0.25])), torch.tensor([1.0, 0.2]))
    assert each.tolist() == pytest.approx([-math.log(0.25), -0.2 * math.log(0.25) - 0.8 * math.log(0.75)])


# unclicked; clicked, acted on and converted; clicked, conversion not known; clicked, action not known, not converted
CHAIN = batch(
    click=[0, 1, 1, 1], click_defined=[1, 1, 1, 1], action=[0, 1, 0, 0], action_defined=[0, 1, 1, 0],
    conversion=[0, 0.9, 0, 0.2], converted=[0, 1, 0, 0], conversion_defined=[0, 1, 0, 1],
)  # fmt: skip


def test_over_all_impressions_an_unclicked_row_is_a_negative_and_an_undefined_one_is_none():
    rows = {target.name: target.rows(CHAIN).tolist() for target in objective("esm2").targets}
    assert rows == {
        "ctr": [True, True, True, True],
        "ctavr": [True, True, True, False],
        "cvr": [False, True, False, True],  # judged on clicked rows only
        "ctcvr": [True, True, False, True],
    }


def test_heads_of_esm2_are_found_on_the_rows_of_their_condition():
    rows = {head.name: head.rows(CHAIN).tolist() for head in objective("esm2").heads}
    assert rows == {
        "ctr": [True, True, True, True],
        "action": [False, True, True, False],
        "cvr_after_action": [False, True, False, False],
        "cvr_without_action": [False, False, False, False],  # the only such row has an unknown conversion
    }


def test_losses_over_all_impressions_by_hand():
    # all heads at 1/2: ctr .5, ctavr .25, cvr .5, ctcvr .25
    half = {head: torch.zeros(4) for head in HEADS}
    (step,) = objective("esm2").steps
    of_three = -(2 * math.log(0.75) + math.log(0.25)) / 3  # two negatives and a positive, for ctavr and for ctcvr alike
    assert step.rows(CHAIN).tolist() == [True] * 4
    assert step.loss(half, CHAIN).item() == pytest.approx(LN2 + 2 * of_three, rel=1e-6)
    (step,) = objective("esmm").steps
    assert step.loss({"ctr": torch.zeros(4), "cvr": torch.zeros(4)}, CHAIN).item() == pytest.approx(
        LN2 + of_three, rel=1e-6
    )


def test_each_loss_over_all_impressions_has_its_weight():
    esm2 = load_model("esm2")
    weighted = esm2.objective.model_copy(update={"weights": Esm2Weights(ctr=3.0, ctavr=5.0)})
    model = esm2.model_copy(update={"objective": weighted})
    (step,) = objective_of(model, load_settings("conf/demo.toml")).steps
    of_three = -(2 * math.log(0.75) + math.log(0.25)) / 3
    assert step.loss({head: torch.zeros(4) for head in HEADS}, CHAIN).item() == pytest.approx(
        3 * LN2 + 6 * of_three, rel=1e-6
    )


def test_a_day_whose_conversions_are_all_undefined_has_a_finite_loss():
    unknown = batch(click=[1, 1], click_defined=[1, 1])
    (step,) = objective("esm2").steps
    assert step.loss({head: torch.zeros(2) for head in HEADS}, unknown).item() == pytest.approx(LN2, rel=1e-6)


CVR = Task("cvr", "conversion", "converted", "mse", False)


def test_a_row_weighs_more_the_smaller_its_label():
    # weights 1 + 2 * (1 - label) = 1 and 2.9; cross entropy at p = 1/2 is ln 2 whatever the label
    rows = batch(conversion=[1.0, 0.05], conversion_defined=[1, 1])
    (step,) = one_step_per_head([CVR], {"cvr": TaskLoss(conflict=2.0)}).steps
    assert step.loss({"cvr": torch.zeros(2)}, rows).item() == pytest.approx((1 + 2.9) / 2 * LN2, rel=1e-6)
    (step,) = one_step_per_head([CVR], {"cvr": TaskLoss(conflict=2.0, weight=3.0)}).steps
    assert step.loss({"cvr": torch.zeros(2)}, rows).item() == pytest.approx(3 * (1 + 2.9) / 2 * LN2, rel=1e-6)


def test_oversampling_repeats_positive_rows_and_nothing_else():
    rows = batch(
        click=[1, 0, 1, 1], click_defined=[1] * 4, conversion=[0.9, 0, 0.1, 0.8], converted=[1, 0, 0, 1],
        conversion_defined=[1, 0, 1, 1],
    )  # fmt: skip
    os = Task("cvr", "converted", "converted", "auc", True)
    of = one_step_per_head([CTR, os], {"cvr": TaskLoss(oversample=3)})
    assert of.steps[1].rows(rows).tolist() == [0, 0, 0, 2, 3, 3, 3]
    assert of.steps[0].rows(rows).tolist() == [True] * 4
    learnt = {
        step: found.labels["conversion"].tolist()
        for step, found in step_batches([rows], {step.name: step.rows for step in of.steps}, 10)
    }
    assert learnt["cvr"] == pytest.approx([0.9, 0.9, 0.9, 0.1, 0.8, 0.8, 0.8])


def test_cvr_is_evaluated_on_clicked_rows_and_each_day_by_itself(settings):
    first, second = publish_days(settings, 2, rows=500)
    run = open_run(settings, "ranker", "esm2")
    model = run.build(sizes(second))

    def evaluated(day):
        return predict(model, run.objective, run.paths.samples(day), run.layout, run.device)

    alone = evaluated(second)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    evaluated(first)
    again = evaluated(second)
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())
    assert again.equals(alone) and metrics_by_task(again) == metrics_by_task(alone)
    of_cvr = alone[alone["task"] == "cvr"].set_index("impression_id")["defined"]
    clicked = alone[alone["task"] == "ctr"].set_index("impression_id")["label"]
    assert of_cvr.equals(clicked.rename("defined")) and 0 < clicked.sum() < 500
    assert metrics_by_task(alone)["cvr"]["rows"] == clicked.sum()
    assert metrics_by_task(alone)["ctcvr"]["rows"] == 500


def test_names_of_the_heads():
    assert HEADS == (chain.Y1, chain.Y2, chain.Y3, chain.Y4)
