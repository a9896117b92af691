"""The session that all jobs share."""

from pathlib import Path
from urllib.parse import urlsplit

from etl.spark.session import EMBEDDED, LOGGING


def test_the_jvm_finds_the_settings_of_its_log():
    assert Path(urlsplit(LOGGING).path).is_file()
    assert f"-Dlog4j2.configurationFile={LOGGING}" in EMBEDDED["spark.driver.extraJavaOptions"]
