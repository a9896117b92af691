"""Which device trains and predicts."""

import torch

from conf.errors import InputError
from conf.settings.run_file import Training


def choose_device(training: Training) -> torch.device:
    """The GPU when there is one (`auto`); raises InputError when `cuda` is required and missing."""
    found = torch.cuda.is_available()
    if training.device == "cuda" and not found:
        raise InputError("no GPU was found", where="[training] device = 'cuda'", hint="set it to 'auto' or 'cpu'")
    return torch.device("cuda" if found and training.device != "cpu" else "cpu")
