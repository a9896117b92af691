import pytest
import torch

from tests.trainer.tables import settings as make_settings

# as the jobs do by default ([training] threads): several threads slow networks this small down when cores are shared
torch.set_num_threads(1)


@pytest.fixture
def settings(tmp_path, monkeypatch):
    return make_settings(tmp_path, monkeypatch)
