"""The tables of a comparison, by hand."""

from datetime import date

from trainer.comparison.differences import Difference, MeanAndSd, ModelComparison
from trainer.comparison.intervals import Interval
from trainer.comparison.rankscore import Rankscore
from trainer.comparison.report import markdown, notes_on_rankers
from trainer.comparison.request import Request
from trainer.comparison.traffic import Clicks, Traffic
from trainer.evaluation.metrics import MetricName

CTR_AUC, CVR_MSE, CART_AUC = MetricName("ctr", "auc"), MetricName("cvr", "mse"), MetricName("add_to_cart", "auc")


def request(*models: str) -> Request:
    return Request("models", "ranker", list(models), models[0], 2, date(2026, 1, 2), date(2026, 1, 3), Rankscore())


def traffic(impressions: int, **domains: Clicks) -> Traffic:
    return Traffic(Clicks(impressions, 0.25 if impressions else None), domains)


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
    text = markdown(request("a", "b", "c"), comparisons, traffic(5000), notes_on_rankers("a", Rankscore(), 0.1234))
    assert "| a | 0.0900 ± 0.0010 |\n| b | 0.0900 ± 0.0010 (-0.0100, -10.00%, p 0.031) |\n" in text
    assert "| c † | 0.0900 ± 0.0010 |\n" in text
    assert "## add_to_cart\n\n| model | auc |\n|---|---|\n| a | - |\n| b | - |\n| c † | 0.6000 ± 0.1000 |" in text
    assert text.index("## ctr\n") < text.index("## cvr\n") < text.index("## add_to_cart\n")
    assert "standard deviation over seeds\n" not in text  # it is in the cells
    assert "5,000 impressions" in text and "cvr mse 0.1234" in text


def test_a_cell_with_intervals_by_hand():
    """Instead of the standard deviation, which has a table of its own, and of p."""
    spreads = {CTR_AUC: MeanAndSd(0.7355, 0.0012), CVR_MSE: MeanAndSd(0.09, 0.001)}
    difference = {CTR_AUC: Difference(0.0021, 0.01, 4), CVR_MSE: Difference(-0.01, 0.0312, 4)}
    intervals = {CTR_AUC: Interval(0.7301, 0.7402), CVR_MSE: Interval(0.08, 0.1)}
    of_difference = {CTR_AUC: Interval(0.0009, 0.0033), CVR_MSE: Interval(-0.02, 0.001)}
    model = ModelComparison(False, spreads, difference, intervals, of_difference)
    base = ModelComparison(False, spreads, {}, {CTR_AUC: Interval(0.72, 0.74), CVR_MSE: None})
    text = markdown(request("a", "b"), {"a": base, "b": model}, traffic(5000), [])
    assert "| a | 0.7355 [0.7200, 0.7400] |\n| b | 0.7355 [0.7301, 0.7402] (+0.0021 [+0.0009, +0.0033]) |\n" in text
    assert "| a | 0.0900 ± 0.0010 |\n| b | 0.0900 [0.0800, 0.1000] (-0.0100 [-0.0200, +0.0010], -10.00%) |\n" in text
    spread = (
        "## standard deviation over seeds\n\n| model | ctr_auc | cvr_mse |\n|---|---|---|\n| a | 0.0012 | 0.0010 |\n"
    )
    assert spread in text and "95 % intervals from 1,000 resamples" in text


def test_what_is_undefined_is_a_word():
    undefined = ModelComparison(False, {CTR_AUC: MeanAndSd(None, None)}, {CTR_AUC: Difference(None, None, 0)})
    text = markdown(request("a"), {"a": undefined}, traffic(0), notes_on_rankers("a", Rankscore(), None))
    assert "| a | undefined |" in text and "cvr mse undefined" in text and "nan" not in text.lower()


def by_domain(*domains: str) -> ModelComparison:
    """CTR AUC .7 + .01 n on the nth domain."""
    values = {domain: MeanAndSd(0.7 + 0.01 * n, None) for n, domain in enumerate(domains)}
    return ModelComparison(False, {}, {}, by_domain={domain: {CTR_AUC: value} for domain, value in values.items()})


def test_domains_are_columns_in_the_order_of_their_impressions():
    busy = traffic(1500, tab=Clicks(1200, 0.3), feed=Clicks(300, None))
    text = markdown(request("a"), {"a": by_domain("feed", "tab")}, busy, [])
    table = "## impressions by domain\n\n| domain | impressions | click rate |\n|---|---|---|\n"
    assert f"{table}| tab | 1,200 | 0.3000 |\n| feed | 300 | undefined |\n| all | 1,500 | 0.2500 |\n" in text
    assert "## ctr auc by domain\n\n| model | tab | feed |\n|---|---|---|\n| a | 0.7100 | 0.7000 |\n" in text
    assert "## ctr gauc impressions by domain\n\n| model | tab | feed |\n|---|---|---|\n| a | undefined | " in text


def test_many_domains_are_rows_and_models_are_columns():
    names = [f"d{n}" for n in range(9)]
    busy = traffic(90, **{name: Clicks(10, 0.5) for name in names})
    comparisons = {"a": by_domain(*names), "b": by_domain(*names[1:])}
    text = markdown(request("a", "b"), comparisons, busy, [])
    rows = "| domain | a | b |\n|---|---|---|\n| d0 | 0.7000 | undefined |\n| d1 | 0.7100 | 0.7000 |\n"
    assert f"## ctr auc by domain\n\n{rows}" in text and "| d8 | 0.7800 | 0.7700 |\n" in text
    eight = {model: by_domain(*names[:8]) for model in ("a", "b")}
    assert "| model | d0 | d1 | d2 | d3 | d4 | d5 | d6 | d7 |\n" in markdown(request("a", "b"), eight, busy, [])
