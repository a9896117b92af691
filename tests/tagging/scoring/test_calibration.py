"""The calibration curve by hand."""

import math

import pytest
import torch

from tagging.scoring.calibration import RAW, Calibration


def test_by_hand() -> None:
    """sigmoid(0.1 + 2 (0.5 + 0.25 * 4)) = sigmoid(3.1); the raw sigmoid of 2 is 0.8808."""
    assert Calibration(0.1, 0.5, 0.25)(torch.tensor([2.0])).item() == pytest.approx(1 / (1 + math.exp(-3.1)))
    assert RAW(torch.tensor([2.0])).item() == pytest.approx(0.8807971)


def test_a_score_does_not_depend_on_its_batch_and_never_falls() -> None:
    """In float32 149 of these 4001 differ in their last bit."""
    calibration, logits = Calibration(-0.311111, 0.870001, 0.413579), torch.linspace(-1, 1, 4001)
    scores = calibration(logits)
    assert torch.equal(scores, torch.cat([calibration(logit) for logit in logits.split(1)]))
    assert bool((scores.diff() >= 0).all())
