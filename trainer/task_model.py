"""What training, prediction and checkpoints know of a model."""

from collections.abc import Sequence

from torch import Tensor, nn

from trainer.batch import Batch


class TaskModel(nn.Module):
    """Logits by head; losses and probabilities live in trainer/objective.py."""

    heads: tuple[str, ...]

    def logits(self, batch: Batch, heads: Sequence[str]) -> dict[str, Tensor]:
        """head -> float32 [B], for the heads asked for; raises KeyError on an unknown one."""
        raise NotImplementedError  # every model says it for itself
