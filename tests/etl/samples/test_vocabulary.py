"""Value to id: admission, order, and that an id never changes."""

from datetime import date

import pandas as pd
import pytest

from conf.errors import InputError
from conf.paths import Paths
from conf.settings.run_file import Feature
from etl.artefact import write_manifest
from etl.samples import vocabulary
from tests.lakes import runs

ONE, TWO, THREE = date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4)


def advance(before, day, **counts):
    rows = [("f", value, n) for value, n in counts.items()] + [("g", "only", 5)]
    return vocabulary.advance(before, pd.DataFrame(rows, columns=["feature", "value", "n"]), day, {"f": 3, "g": 1})


def ids(snapshot):
    return {r.value: None if pd.isna(r.id) else int(r.id) for r in snapshot[snapshot.feature == "f"].itertuples()}


def test_values_get_ids_at_the_threshold_in_order_of_day_then_value():
    first = advance(vocabulary.empty(), ONE, z=3, b=2, c=1)
    assert ids(first) == {"z": 2, "b": None, "c": None}
    second = advance(first, TWO, b=1, a=4, c=1)
    assert ids(second) == {"z": 2, "a": 3, "b": 4, "c": None}
    third = advance(second, THREE, c=1)
    assert ids(third) == {"z": 2, "a": 3, "b": 4, "c": 5}


def test_a_snapshot_holds_count_and_first_day_of_every_value_seen():
    second = advance(advance(vocabulary.empty(), ONE, a=1), TWO, a=1, b=1)
    found = {(r.feature, r.value): (r.first_seen, r.count) for r in second.to_records(index=False)}
    assert found == {("f", "a"): (str(ONE), 2), ("f", "b"): (str(TWO), 1), ("g", "only"): (str(ONE), 10)}


def test_every_id_in_use_is_smaller_than_the_size():
    snapshot = advance(vocabulary.empty(), ONE, a=3, b=3, c=1)
    features = [
        Feature(name="f", table="users"),
        Feature(name="unseen", table="users"),
        Feature(name="n", table="items", kind="numeric", boundaries=[1, 2]),
    ]
    # f: 0, 1 and two values; n: 0, 1 and three buckets
    assert vocabulary.sizes(snapshot, features) == {"f": 4, "unseen": 2, "n": 5}


def test_a_written_snapshot_reads_back_the_same(tmp_path):
    snapshot = advance(vocabulary.empty(), ONE, a=3, b=1)
    vocabulary.write(snapshot, tmp_path)
    write_manifest(tmp_path, {})
    pd.testing.assert_frame_equal(vocabulary.read(tmp_path, hint=""), snapshot)


def test_a_day_needs_the_day_before_unless_it_is_the_first(tmp_path):
    settings = runs.settings(tmp_path, runs.SIMULATED)
    paths = Paths(settings.lake.root)
    assert vocabulary.before(paths, settings, ONE).empty
    command = "python -m etl.build_samples --config <run file> --from 2026-03-02 --to 2026-03-02"
    with pytest.raises(InputError, match=f"build the days before first: {command}"):
        vocabulary.before(paths, settings, TWO)
    with pytest.raises(InputError, match="lies before"):
        vocabulary.before(paths, settings, date(2026, 3, 1))
