import torch

from conf.settings.objective import TaskLoss
from trainer.data.batch import Batch
from trainer.objectives.objective import one_step_per_head
from trainer.objectives.task import Task
from trainer.training.step_batches import step_batches

CTR = Task("ctr", "click", "click", "auc", True)
CVR = Task("cvr", "conversion", "converted", "mse", False)
TAKES = {"ctr": CTR.rows, "cvr": CVR.rows}


def rows(first, clicks):
    count = len(clicks)
    click = torch.tensor(clicks, dtype=torch.float32)
    labels = {"click": click, "click_defined": torch.ones(count), "conversion": click / 2, "conversion_defined": click}
    return Batch(torch.arange(first, first + count).unsqueeze(1), labels, {}, torch.empty(count, 0))


def test_each_task_gets_its_own_rows_in_order_and_none_is_lost():
    groups = [rows(0, [1, 0, 1, 0, 1]), rows(5, [1, 1, 0])]
    batches = [(task, batch.ids.flatten().tolist()) for task, batch in step_batches(groups, TAKES, 3)]
    assert batches == [
        ("ctr", [0, 1, 2]),
        ("cvr", [0, 2, 4]),
        ("ctr", [3, 4, 5]),  # the second group completes what the first left over
        ("ctr", [6, 7]),
        ("cvr", [5, 6]),
    ]


def test_steps_that_are_ready_together_come_in_their_order():
    groups = [rows(0, [1, 1, 1]), rows(3, [1, 1])]
    assert [step for step, _ in step_batches(groups, TAKES, 3)] == ["ctr", "cvr", "ctr", "cvr"]


def test_a_task_without_rows_gives_no_batch():
    assert [task for task, _ in step_batches([rows(0, [0, 0])], TAKES, 2)] == ["ctr"]


def test_rows_without_a_known_value_in_the_known_columns_are_excluded():
    tagged = Task("interest", "click", "click", "auc", True, known_columns=(0,))
    (_, batch), *_ = step_batches([rows(0, [1, 1, 1, 1])], {"interest": tagged.rows}, 4)
    assert batch.ids.flatten().tolist() == [2, 3]  # 0 is padding, 1 unseen


def test_one_known_value_among_several_is_enough():
    tagged = Task("interest", "click", "click", "auc", True, known_columns=(0, 1))
    some = rows(0, [1, 1, 1])
    ids = torch.tensor([[1, 5], [1, 0], [3, 1]])
    assert tagged.rows(Batch(ids, some.labels, {}, some.values)).tolist() == [True, False, True]


def test_loss_is_the_mean_cross_entropy_times_the_weight():
    (step,) = one_step_per_head([CVR], {"cvr": TaskLoss(weight=2.0)}).steps
    loss = step.loss({"cvr": torch.zeros(2)}, rows(0, [1, 1]))  # p = 1/2, soft labels 1/2: entropy ln 2
    assert torch.isclose(loss, 2 * torch.tensor(2.0).log())
