from datetime import date

import pyarrow
import pyarrow.parquet

from conf.paths import Paths
from dags.local.summary import summary
from dags.run_file import settings
from etl.artefact import write_manifest

FIRST, LAST = date(2026, 1, 1), date(2026, 1, 2)


def test_summary_tells_rows_refusals_metrics_and_tags(tmp_path, monkeypatch):
    monkeypatch.setenv("SPARSETAG_LAKE__ROOT", str(tmp_path))
    paths = Paths(tmp_path)
    refused = {"impressions": {"duplicate": 30, "null_key": 4}, "clicks": {}}
    for day in (FIRST, LAST):
        publish(paths.samples(day), {"rows": 20000, "quarantined": refused})
    metrics = {"ctr": {"auc": 0.75, "gauc_impressions": None}, "cvr": {"auc": 0.625, "mse": 0.0}}
    publish(paths.predictions("ranker", "sparse_weight", LAST), {"metrics": metrics})
    publish(paths.users(LAST), {"rows": 3})
    tags = {"user_id": ["u2", "u1", "u1"], "tag": ["c", "b", "a"], "score": [0.5, 0.25, 0.75], "rank": [1, 2, 1]}
    for task in ("interest", "intention"):
        publish(paths.user_tags(LAST, task), {})
        pyarrow.parquet.write_table(pyarrow.table(tags), paths.user_tags(LAST, task) / "part-0.parquet")

    lines = [line.split() for line in summary(settings(), [FIRST, LAST]).splitlines()]

    assert ["2026-01-01", "20,000", "34", "-", "-", "-", "-"] in lines
    assert ["2026-01-02", "20,000", "34", "0.7500", "-", "0.0000", "0.6250"] in lines
    assert ["2", "of", "3", "users", "have", "tags", "for", "interest"] in lines
    assert ["user", "u1", "intention", "a", "0.75,", "b", "0.25"] in lines
    assert ["user", "u2", "interest", "c", "0.50"] in lines


def publish(folder, manifest):
    folder.mkdir(parents=True)
    write_manifest(folder, manifest)
