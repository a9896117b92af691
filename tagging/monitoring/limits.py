"""How much may change in a day before its tags are refused ([tagging] max_churn, min_coverage_ratio)."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from conf.errors import InputError
from conf.settings.run_file import Tagging


def exceeded(limits: Tagging, by_task: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One line for each limit that a task's change_metrics exceed."""
    found = []
    for task, metrics in by_task.items():
        if metrics["coverage_ratio"] < limits.min_coverage_ratio:
            found.append(
                f"{task}: {metrics['users_tagged']:,} users with a tag, {metrics['users_tagged_before']:,} before "
                f"(min_coverage_ratio = {limits.min_coverage_ratio:g})"
            )
        if metrics["churn"] > limits.max_churn:
            found.append(
                f"{task}: users would lose {metrics['churn']:.1%} of their tags (max_churn = {limits.max_churn:g})"
            )
    return found


def refusal(day: date, reasons: list[str]) -> InputError:
    return InputError(
        "; ".join(reasons),
        where=f"user_tags {day}",
        hint="find the cause; to publish the day anyway, run it again with SPARSETAG_TAGGING__MAX_CHURN=1 "
        "SPARSETAG_TAGGING__MIN_COVERAGE_RATIO=0 in the environment",
    )
