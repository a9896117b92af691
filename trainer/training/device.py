"""Where the numbers are crunched, and the promise that equal seeds give equal bits there."""

import os

import torch

from conf.errors import InputError
from conf.settings.run_file import Training


def device(training: Training) -> torch.device:
    """The GPU when there is one (`auto`), with deterministic kernels; raises InputError when `cuda` is not there."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # nothing here reads what it has not written; filling every new tensor first was a tenth of a training step
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # not in its stub
    torch.set_num_threads(training.threads)
    found = torch.cuda.is_available()
    if training.device == "cuda" and not found:
        raise InputError("no GPU was found", where="[training] device = 'cuda'", hint="use 'auto' or 'cpu'")
    return torch.device("cuda" if found and training.device != "cpu" else "cpu")
