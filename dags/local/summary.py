"""The results of the days in a few lines for the terminal, read from the published tables."""

from collections.abc import Iterable
from datetime import date

import pyarrow.parquet

from conf.paths import Paths, run_name
from conf.settings.run_file import Settings
from etl.artefact import is_published, read_manifest

EXAMPLES = 3  # users whose tags are shown
METRICS = (("ctr", "auc"), ("ctr", "gauc_impressions"), ("cvr", "mse"), ("cvr", "auc"))
HINT = "publish this day first"


def summary(settings: Settings, days: Iterable[date]) -> str:
    """A table of the days, and some users' tags on the last of them; raises InputError when a table is missing."""
    days = list(days)
    return "\n".join([*_table(settings, days), "", *_tags(settings, days[-1])])


def _table(settings: Settings, days: list[date]) -> list[str]:
    paths = Paths(settings.lake.root)
    ranker = run_name(settings.ranker.model, settings.training.seed)
    lines = [
        "Each day as predicted by the model of the day before, which then trained on it:",
        f"{'day':10}  {'rows':>8}  {'refused':>7}  {'CTR AUC':>8}  {'CTR GAUC':>8}  {'CVR MSE':>8}  {'CVR AUC':>8}",
    ]
    for day in days:
        samples = read_manifest(paths.samples(day), hint=HINT)
        refused = sum(n for reasons in samples["quarantined"].values() for n in reasons.values())
        predictions = paths.predictions("ranker", ranker, day)
        metrics = read_manifest(predictions, hint=HINT)["metrics"] if is_published(predictions) else {}
        values = [metrics.get(task, {}).get(name) for task, name in METRICS]
        lines.append(f"{day}  {samples['rows']:8,}  {refused:7,}  " + "  ".join(map(_shown, values)))
    return lines


def _shown(value: float | None) -> str:
    return f"{value:8.4f}" if value is not None else f"{'-':>8}"


def _tags(settings: Settings, day: date) -> list[str]:
    paths = Paths(settings.lake.root)
    users = read_manifest(paths.users(day), hint=HINT)["rows"]
    shares, examples = [], [f"Tags of {day}, for example:"]
    for task in ("interest", "intention"):
        table = pyarrow.parquet.read_table(paths.user_tags(day, task)).to_pandas()
        shares.append(f"{table['user_id'].nunique():,} of {users:,} users have tags for {task}")
        for user in sorted(table["user_id"].unique())[:EXAMPLES]:
            best = table[table["user_id"] == user].sort_values("rank")
            tags = ", ".join(f"{tag} {score:.2f}" for tag, score in zip(best["tag"], best["score"], strict=True))
            examples.append(f"  user {user:8} {task:9}  {tags}")
    return [*shares, *examples]
