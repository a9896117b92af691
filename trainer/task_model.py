"""What training, prediction and checkpoints know of a model."""

from torch import Tensor, nn

from trainer.batch import Batch


class TaskModel(nn.Module):
    """Logits by task name; losses and probabilities live in trainer/objective.py."""

    tasks: tuple[str, ...]

    def logits(self, batch: Batch, task: str) -> Tensor:
        """float32 [B]; raises KeyError on an unknown task."""
        raise NotImplementedError  # every model says it for itself
