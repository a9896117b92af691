"""The heads of taggers: interest, intention and kinds of action."""

from conf.settings.model_file import TaggerModel
from conf.settings.run_file import Settings
from etl.contract import columns_of, feature_columns, kind_label
from trainer.objectives.task import Task


def tagging_heads(model: TaggerModel, settings: Settings) -> tuple[Task, ...]:
    """Interest: is an item of these tags clicked; intention: does the click convert (MVKE section 3.1).

    A kind of action is a task too: does it follow the click (section 4.2, "users' more various actions").

    Impressions of items without any known tag say nothing about tags: they are neither learnt from nor counted.
    """
    tag = next(f for f in settings.features if f.name == settings.tagger.tag_feature)
    columns = columns_of(settings.features)
    tags = tuple(columns.index(column) for column in feature_columns(tag))
    labels = {"interest": "click", "intention": "converted", **{kind: kind_label(kind) for kind in model.kinds}}
    return tuple(Task(name, labels[name], labels[name], "auc", True, needs_value=tags) for name in model.tasks)
