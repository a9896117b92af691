"""A built day from the staging folder to its place: checked, then published table by table."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from conf.log import event
from conf.paths import Paths
from etl.artefact import describe_files, publish, write_manifest
from etl.contract import RAW, SNAPSHOTS
from etl.samples import vocabulary
from etl.samples.row_counts import RowCounts, check_balance
from etl.samples.staging import Staging
from etl.spark.parquet import rows_in


def check_day(
    staging: Staging, day: date, manifest: Mapping[str, Any], totals: Mapping[str, float], counts: RowCounts
) -> None:
    """Raises InputError unless the rows of every raw table are in the samples or in quarantine."""
    for table in RAW:
        if table == "impressions":
            rows_out = rows_in(staging.samples(day))
        elif table in SNAPSHOTS:
            rows_out = counts.get((table, None), {}).get(None, 0)
        else:
            rows_out = int(totals[f"n_{table}"])
        quarantined = rows_in(staging.quarantine(table, day))
        check_balance(table, day, manifest["rows_in"][table], rows_out, quarantined)


def publish_day(paths: Paths, staging: Staging, day: date, snapshot: pd.DataFrame, manifest: dict[str, Any]) -> None:
    """Quarantine and vocabulary first. Samples last: once they are there, the day is done."""
    quarantined = 0
    for table, reasons in manifest["quarantined"].items():
        rows = sum(reasons.values())
        quarantined += rows
        content = {"day": str(day), "rows": rows, "reasons": reasons}
        _publish_files(paths, staging.quarantine(table, day), paths.quarantine(table, day), content)
    staging.vocabulary(day).mkdir(parents=True)
    vocabulary.write(snapshot, staging.vocabulary(day))
    content = {key: manifest[key] for key in ("day", "settings_hash")}
    content |= {"sizes": manifest["vocabulary"], "rows": len(snapshot)}
    _publish_files(paths, staging.vocabulary(day), paths.vocabulary(day), content)
    _publish_files(paths, staging.samples(day), paths.samples(day), manifest)
    event("samples published", day=day, rows=manifest["rows"], quarantined=quarantined)


def _publish_files(paths: Paths, written: Path, target: Path, manifest: dict[str, Any]) -> None:
    """Publishes the Parquet files of `written` at `target`, listed in its manifest."""

    def fill(folder: Path) -> None:
        for file in sorted(written.glob("*.parquet")):
            file.rename(folder / file.name)
        write_manifest(folder, {**manifest, "files": describe_files(folder)})

    publish(paths, target, fill)
