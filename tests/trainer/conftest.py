import pytest

from tests.trainer.tables import settings as make_settings


@pytest.fixture
def settings(tmp_path, monkeypatch):
    return make_settings(tmp_path, monkeypatch)
