"""The tables of a comparison, by hand."""

from datetime import date

from trainer.comparison.differences import Difference, MeanAndSd, ModelComparison
from trainer.comparison.rankscore import Rankscore
from trainer.comparison.report import markdown, notes_on_rankers
from trainer.comparison.request import Request
from trainer.evaluation.metrics import MetricName

CTR_AUC, CVR_MSE, CART_AUC = MetricName("ctr", "auc"), MetricName("cvr", "mse"), MetricName("add_to_cart", "auc")


def request(*models: str) -> Request:
    return Request("models", "ranker", list(models), models[0], 2, date(2026, 1, 2), date(2026, 1, 3), Rankscore())


def test_a_cell_by_hand():
    def line(difference: Difference | None, *, other_label: bool = False) -> ModelComparison:
        metrics = {CVR_MSE: MeanAndSd(0.09, 0.001), CTR_AUC: MeanAndSd(0.7, None)}
        return ModelComparison(other_label, metrics, {CVR_MSE: difference} if difference else {})

    comparisons = {
        "a": line(Difference(0.0, None, 4)),
        "b": line(Difference(-0.01, 0.0312, 4)),
        "c": line(None, other_label=True),
    }
    comparisons["c"].metrics[CART_AUC] = MeanAndSd(0.6, 0.1)
    text = markdown(request("a", "b", "c"), comparisons, 5000, notes_on_rankers("a", Rankscore(), 0.1234))
    assert "| a | 0.0900 ± 0.0010 |\n| b | 0.0900 ± 0.0010 (-0.0100, -10.00%, p 0.031) |\n" in text
    assert "| c † | 0.0900 ± 0.0010 |\n" in text
    assert "## add_to_cart\n\n| model | auc |\n|---|---|\n| a | - |\n| b | - |\n| c † | 0.6000 ± 0.1000 |" in text
    assert text.index("## ctr\n") < text.index("## cvr\n") < text.index("## add_to_cart\n")
    assert "5,000 impressions" in text and "cvr mse 0.1234" in text


def test_what_is_undefined_is_a_word():
    undefined = ModelComparison(False, {CTR_AUC: MeanAndSd(None, None)}, {CTR_AUC: Difference(None, None, 0)})
    text = markdown(request("a"), {"a": undefined}, 0, notes_on_rankers("a", Rankscore(), None))
    assert "| a | undefined |" in text and "cvr mse undefined" in text and "nan" not in text.lower()
