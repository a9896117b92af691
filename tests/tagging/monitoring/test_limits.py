"""Changes at and beyond the limits."""

import pytest

from conf.settings.run_file import Tagging
from tagging.monitoring import limits


@pytest.mark.parametrize(
    ("ratio", "churn", "why"),
    [(0.9, 0.5, ""), (0.89, 0.5, "min_coverage_ratio"), (0.9, 0.51, "max_churn"), (5.0, 0.0, "")],
)
def test_values_at_the_limits_pass(ratio: float, churn: float, why: str) -> None:
    metrics = {"users_tagged": 9, "users_tagged_before": 10, "coverage_ratio": ratio, "churn": churn}
    found = limits.exceeded(Tagging(max_churn=0.5, min_coverage_ratio=0.9), {"interest": metrics})
    assert len(found) == bool(why)
    assert all(why in reason and reason.startswith("interest: ") for reason in found)
