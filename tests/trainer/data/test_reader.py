import json

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from conf.errors import InputError
from conf.paths import Paths
from etl.contract import columns_of
from tests.lakes.samples import sample_rows, write_samples
from tests.lakes.settings import START
from trainer.data import reader
from trainer.data.layout import Layout
from trainer.data.reader import read


@pytest.fixture
def day(settings):
    write_samples(settings, START, sample_rows(settings, START, 1000), row_group=300)
    return Paths(settings.lake.root).samples(START)


def all_ids(batches):
    return np.concatenate([batch.ids.numpy() for batch in batches])


def test_every_row_arrives_with_its_own_labels(settings, day):
    batches = list(read(day, Layout.of(settings.features), keys=["impression_id"]))
    expected = sample_rows(settings, START, 1000)
    assert [len(b) for b in batches] == [300, 300, 300, 100]
    assert np.array_equal(all_ids(batches), expected[columns_of(settings.features)].to_numpy())
    clicks = np.concatenate([b.labels["click"].numpy() for b in batches])
    assert np.array_equal(clicks, expected["click"].to_numpy())
    assert [k for b in batches for k in b.keys["impression_id"]] == list(expected["impression_id"])


def test_a_seed_gives_one_order_and_another_seed_another(settings, day):
    first, again = (all_ids(read(day, Layout.of(settings.features), shuffle_seed=5)) for _ in range(2))
    other = all_ids(read(day, Layout.of(settings.features), shuffle_seed=6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(np.sort(first, axis=0), np.sort(other, axis=0))


def test_a_seed_shuffles_the_row_groups_and_the_rows_within_each(settings, day):
    groups, rows = set(), set()
    for seed in range(8):
        numbers = [
            [int(key[-6:]) for key in batch.keys["impression_id"]]
            for batch in read(day, Layout.of(settings.features), keys=["impression_id"], shuffle_seed=seed)
        ]
        groups.add(tuple(min(group) // 300 for group in numbers))
        rows.add(tuple(next(group for group in numbers if min(group) == 0)))
    assert len(groups) > 3 and len(rows) == 8
    assert tuple(range(300)) not in rows
    assert all(sorted(order) == [0, 1, 2, 3] for order in groups)


def test_a_shuffled_row_keeps_its_labels_and_keys(settings, day):
    expected = sample_rows(settings, START, 1000).set_index("impression_id")
    for batch in read(day, Layout.of(settings.features), keys=["impression_id"], shuffle_seed=5):
        rows = expected.loc[batch.keys["impression_id"]]
        assert np.array_equal(batch.ids.numpy(), rows[columns_of(settings.features)].to_numpy())
        for name, label in batch.labels.items():
            np.testing.assert_allclose(label.numpy(), rows[name], rtol=1e-6)


def refused(settings, day, message):
    with pytest.raises(InputError, match=message) as caught:
        list(read(day, Layout.of(settings.features)))
    assert "dt=2026-01-01" in caught.value.where
    assert "build" in caught.value.hint


def rewrite(day, change):
    path = day / "part-00000.parquet"
    pyarrow.parquet.write_table(change(pyarrow.parquet.read_table(path)), path)


def test_a_missing_day_is_refused(settings, day):
    refused(settings, day.with_name("dt=2026-01-01-not"), "not there")


def test_truncated_parquet_is_refused(settings, day):
    path = day / "part-00000.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    refused(settings, day, "not a whole Parquet file")


def test_a_missing_column_is_refused_by_name(settings, day):
    rewrite(day, lambda table: table.drop(["f_age"]))
    refused(settings, day, "column f_age is missing")


def test_a_mistyped_column_is_refused_by_name(settings, day):
    rewrite(day, lambda t: t.set_column(t.schema.get_field_index("f_age"), "f_age", t["f_age"].cast("string")))
    refused(settings, day, "column f_age holds string, not int32")


def test_rows_lost_from_the_files_are_noticed(settings, day):
    rewrite(day, lambda table: table.slice(0, 999))
    refused(settings, day, "999 rows, but the manifest says 1000")


def test_an_empty_day_is_refused(settings, day):
    rewrite(day, lambda table: table.slice(0, 0))
    manifest = json.loads((day / "_MANIFEST.json").read_text())
    manifest["files"][0]["rows"] = 0
    (day / "_MANIFEST.json").write_text(json.dumps(manifest))
    refused(settings, day, "no rows")


@pytest.fixture
def losing(monkeypatch):
    """Makes Petastorm's reader lose the last row group a given number of times."""
    real = reader.make_batch_reader
    left = 0

    class Losing:
        def __init__(self, *arguments, **options):
            self.real = real(*arguments, **options)

        def __enter__(self):
            self.real.__enter__()
            return self

        def __exit__(self, *error):
            return self.real.__exit__(*error)

        def __iter__(self):
            nonlocal left
            left -= 1
            groups = list(self.real)
            return iter(groups[:-1] if left >= 0 else groups)

    def times(count):
        nonlocal left
        left = count
        monkeypatch.setattr(reader, "make_batch_reader", Losing)

    return times


def test_reading_that_ended_early_goes_on_where_it_stopped(settings, day, losing):
    undisturbed = [batch.ids for batch in read(day, Layout.of(settings.features), shuffle_seed=5)]
    losing(2)
    disturbed = [batch.ids for batch in read(day, Layout.of(settings.features), shuffle_seed=5)]
    assert all(a.equal(b) for a, b in zip(undisturbed, disturbed, strict=True))


def test_a_row_group_that_the_reader_keeps_losing_is_noticed(settings, day, losing):
    losing(100)
    with pytest.raises(InputError, match=r"the reader delivered \d+ rows of 1000"):
        list(read(day, Layout.of(settings.features)))
