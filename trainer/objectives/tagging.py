"""The objective of taggers: interest, intention and further kinds of action."""

from conf.settings.model_file import TaggerModel
from conf.settings.run_file import Feature
from etl.contract import kind_label
from trainer.data.layout import Layout
from trainer.objectives.objective import Objective, one_step_per_head
from trainer.objectives.task import Task


def tagging_objective(model: TaggerModel, layout: Layout, tag: Feature) -> Objective:
    return one_step_per_head(tagging_heads(model, layout, tag))


def tagging_heads(model: TaggerModel, layout: Layout, tag: Feature) -> tuple[Task, ...]:
    """Interest: is an item with these tags clicked; intention: does the click convert (MVKE section 3.1).

    A kind of action is a task as well: does it follow the click (MVKE section 4.2, "users' more various actions").
    Impressions of items without a known tag say nothing about tags: they are neither learnt from nor evaluated.
    """
    tags = tuple(layout.positions([tag]))
    labels = {"interest": "click", "intention": "converted", **{kind: kind_label(kind) for kind in model.action_kinds}}
    return tuple(Task(name, labels[name], labels[name], "auc", True, known_columns=tags) for name in model.tasks)
