"""The promise that equal seeds give equal bits, as far as PyTorch goes."""

import os

import torch

from conf.settings.run_file import Training


def make_deterministic(training: Training) -> None:
    """Deterministic kernels, and the number of threads that the settings name, on which bits depend too."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # no kernel here reads memory before writing it; filling every new tensor took a tenth of a training step
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # not in its stub
    torch.set_num_threads(training.threads)
