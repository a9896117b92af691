"""From a model file to its objective."""

from conf.settings.model_file import NetworkModel
from conf.settings.run_file import Settings
from trainer.data.layout import Layout
from trainer.objectives.objective import Objective
from trainer.objectives.ranking import ranking_objective
from trainer.objectives.tagging import tagging_objective


def objective_of(model: NetworkModel, settings: Settings) -> Objective:
    """The objective of a network whose batches have the settings' features, in their order."""
    if model.family == "ranker":
        return ranking_objective(model.objective)
    layout = Layout.of(settings.features)
    return tagging_objective(model, layout, layout.feature(settings.tagger.tag_feature))
