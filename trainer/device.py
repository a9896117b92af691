"""Where the numbers are crunched, and the promise that equal seeds give equal bits there."""

import os

import torch

from conf.refusal import Refusal
from conf.settings import Training


def device(training: Training) -> torch.device:
    """The GPU when there is one (`auto`), deterministic kernels either way; raises Refusal when `cuda` is not there."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # nothing here reads what it has not written; filling every new tensor first was a tenth of a training step
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # not in its stub
    torch.set_num_threads(training.threads)
    found = torch.cuda.is_available()
    if training.device == "cuda" and not found:
        raise Refusal("no GPU was found", where="[training] device = 'cuda'", remedy="use 'auto' or 'cpu'")
    return torch.device("cuda" if found and training.device != "cpu" else "cpu")
