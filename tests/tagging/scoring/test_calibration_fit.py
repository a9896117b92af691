"""Fitting the calibration: to known curves, to few rows, to none."""

import math
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
import torch

from conf.errors import InputError
from conf.settings.run_file import Settings
from tagging.scoring.calibration import RAW
from tagging.scoring.calibration_fit import Evidence, fit, fit_calibrations
from tests.lakes.settings import START
from tests.lakes.tagging import DAY, TERMS, make_lake, make_predictions, make_vocabulary
from trainer.daily.open import open_tagger


def evidence(logits: list[float], shares: list[float], rows: float) -> Evidence:
    """At each logit so many rows, with this share of positives."""
    positives = np.array(shares) * rows
    return Evidence(np.array(logits), positives, rows - positives)


def test_a_score_is_the_share_that_was_positive() -> None:
    """Odds of 1 : 9 at logit -1 and of 3 : 7 at 0, a factor of 27 / 7: so 81 : 49 at 1, and 30 % at logit 0 is 0.3."""
    found = fit(evidence([-1, 0, 1], [0.1, 0.3, 81 / 130], 1e6))
    assert found(torch.tensor([-1.0, 0.0, 1.0])).tolist() == pytest.approx([0.1, 0.3, 81 / 130], abs=1e-4)


def test_the_terms_of_a_known_curve_are_found() -> None:
    """Odds e^(-0.5 + 0.9 z + 0.7 z^3)."""
    logits = np.linspace(-1, 1, 201)
    shares = 1 / (1 + np.exp(0.5 - 0.9 * logits - 0.7 * logits**3))
    found = fit(evidence(logits.tolist(), shares.tolist(), 1e6))
    assert (found.intercept, found.slope, found.cubic) == pytest.approx((-0.5, 0.9, 0.7), abs=1e-3)


@pytest.mark.parametrize(
    ("shares", "wanted"),
    [
        # odds that flatten towards the ends, 3 z - 2 z^3: the cubic term would fall, so it is dropped
        ([1 / (1 + math.exp(-(3 * z - 2 * z**3))) for z in (-1, -0.5, 0, 0.5, 1)], "rising"),
        ([0.8, 0.6, 0.5, 0.4, 0.2], "flat"),  # a tagger that ranks in reverse: only the mean, 0.5, remains
        ([1.0] * 5, "flat"),  # one class only
    ],
)
def test_a_falling_term_is_dropped(shares: list[float], wanted: str) -> None:
    found = fit(evidence([-1, -0.5, 0, 0.5, 1], shares, 1e4))
    assert found.cubic == 0
    assert (found.slope > 0.5) == (wanted == "rising")
    if wanted == "flat":
        assert found.slope == 0
        assert found(torch.tensor([0.7])).item() == pytest.approx((sum(shares) * 1e4 + 1) / (5e4 + 2), abs=1e-5)


def test_a_few_rows_give_no_extreme_curve() -> None:
    """Two clicks above, two misses below: without a prior the slope would be infinite."""
    found = fit(Evidence(np.array([-0.2, 0.2]), np.array([0.0, 2.0]), np.array([2.0, 0.0])))
    assert 0 < found.slope < 1


def test_scores_stay_raw_without_evidence() -> None:
    assert fit(Evidence(*np.zeros((3, 0)))) == RAW


def test_defined_rows_of_predictions_up_to_the_day_count(tmp_path: Path) -> None:
    settings = make_lake(tmp_path)
    make_vocabulary(settings, DAY + timedelta(days=1))
    make_predictions(settings, DAY + timedelta(days=1))  # not known on DAY
    fitted = fit_calibrations(open_tagger(settings), DAY)
    for task, terms in TERMS.items():
        curve, report = fitted[task].curve, fitted[task].report()
        found = (curve.intercept, curve.slope, curve.cubic)
        assert found == pytest.approx(terms, abs=0.02)  # with 8002 rows the prior still shows
        assert report["days"] == ["2026-01-02", "2026-01-03"]
        assert report["rows"] == 2 * 4001
        assert (report["intercept"], report["slope"], report["cubic"]) == found


def test_a_week_counts_and_no_more(tmp_path: Path) -> None:
    settings = make_lake(tmp_path)
    for n in range(1, 10):
        make_predictions(settings, START + timedelta(days=n))
    fitted = fit_calibrations(open_tagger(settings), date(2026, 1, 10))
    assert fitted["interest"].days == tuple(date(2026, 1, n) for n in range(4, 11))


def test_scores_of_the_first_day_stay_raw(tmp_path: Path) -> None:
    settings = make_lake(tmp_path)
    fitted = fit_calibrations(open_tagger(settings), START)
    assert {task: calibration.curve for task, calibration in fitted.items()} == {"interest": RAW, "intention": RAW}
    assert fitted["interest"].report() == {
        "intercept": 0.0, "slope": 1.0, "cubic": 0.0, "days": [], "rows": 0, "positives": 0.0,
    }  # fmt: skip


def test_missing_predictions_are_refused(tmp_path: Path) -> None:
    """Scores of another calibration would not be comparable with yesterday's."""
    settings: Settings = make_lake(tmp_path)
    folder = settings.lake.root / "predictions" / "tagger" / "mvke" / "dt=2026-01-02"
    folder.rename(tmp_path / "gone")
    with pytest.raises(
        InputError, match=r"dt=2026-01-02: not there; train that day again: .*train_day.*2026-01-02 --force"
    ):
        fit_calibrations(open_tagger(settings), DAY)
