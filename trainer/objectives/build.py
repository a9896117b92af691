"""From a model file to its objective."""

from conf.settings.model_file import RankerModel, TaggerModel
from conf.settings.run_file import Settings
from trainer.objectives.objective import Objective, apart
from trainer.objectives.ranking import _RANKING
from trainer.objectives.tagging import tagging_heads


def objective_of(model: RankerModel | TaggerModel, settings: Settings) -> Objective:
    if model.family == "tagger":
        return apart(tagging_heads(model, settings))
    return _RANKING[model.objective](model)
