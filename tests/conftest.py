"""What all tests share: settings of a small lake, one Spark session, and the real data where it is there."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from conf import log
from conf.settings.run_file import Settings, Spark
from etl.spark.session import session
from tests.lakes.settings import make_settings

PROJECT = Path(__file__).resolve().parents[1]

# Airflow's tests leave a root handler that writes to captured output, which is closed when Spark's connection says
# good-bye at exit
logging.getLogger("py4j").setLevel(logging.WARNING)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file first, so that it does not run alone at the end."""
    items.sort(key=lambda item: item.path.name != "test_pipeline.py")


@pytest.fixture(scope="session", autouse=True)
def no_overrides() -> Iterator[None]:
    """Whatever overrides the shell holds, tests see the run files as they are."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith("SPARSETAG_") and n != "SPARSETAG_TEST_DATA"]:
            patch.delenv(name)
        yield


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Those of a lake of the test's own, for commands with --config conf/demo.toml too."""
    return make_settings(tmp_path, monkeypatch)


@pytest.fixture
def logger_restored() -> Iterator[None]:
    """For tests that configure the log: the next test finds it as this one did."""
    before = log.LOGGER.handlers, log.LOGGER.level, log.LOGGER.propagate
    yield
    log.LOGGER.handlers, log.LOGGER.level, log.LOGGER.propagate = before


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """Jobs called by a test find this session running and leave it so."""
    with session(Spark(master="local[2]", driver_memory="1g", shuffle_partitions=2)) as built:
        yield built


@pytest.fixture(scope="session")
def kuairand() -> Path:
    """The folder of the official CSVs: $SPARSETAG_TEST_DATA, or shared/data/kuairand beside the project."""
    return _real_data(_kuairand(), "the CSVs of KuaiRand-Pure")


@pytest.fixture(scope="session")
def ml100k() -> Path:
    """The folder of MovieLens 100K as docs/how-to/your-data.md describes it: ml100k beside the folder of KuaiRand."""
    return _real_data(_kuairand().parent / "ml100k", "the CSVs of KuaiRand-Pure, and have ml100k beside it")


def _kuairand() -> Path:
    named = os.environ.get("SPARSETAG_TEST_DATA")
    return Path(named) if named else PROJECT.parent / "shared" / "data" / "kuairand"


def _real_data(folder: Path, what: str) -> Path:
    if not folder.is_dir():
        pytest.skip(f"needs the real data: set SPARSETAG_TEST_DATA to a folder with {what}")
    return folder
