"""The ranker: embedding, cross, and a network above whose sharing the model file chooses."""

from collections.abc import Mapping

from torch import Tensor, nn

from conf.models import RankerModel
from conf.settings import Settings
from trainer.batch import Batch
from trainer.mask import Mask
from trainer.parts.cross import Cross
from trainer.parts.embedding import Embedding
from trainer.parts.sharing import SparseSharing, Towers
from trainer.task_model import TaskModel

TASKS = ("ctr", "cvr")


class Ranker(TaskModel):
    """Logits by task name. `inputs` holds one embedding for all tasks, or one for each."""

    def __init__(self, embeddings: Mapping[str, Embedding], cross: Cross, network: nn.Module) -> None:
        super().__init__()
        self.tasks = TASKS
        self.embeddings = nn.ModuleDict(embeddings)
        self.cross = cross
        self.network = network

    def logits(self, batch: Batch, task: str) -> Tensor:
        """float32 [B]"""
        embedding = self.embeddings[task if task in self.embeddings else "shared"]
        logits: Tensor = self.network(self.cross(embedding(batch.ids)), task)
        return logits


def snet_shapes(model: RankerModel, settings: Settings) -> dict[str, list[int]]:
    """Layer -> [out, in] of the weights that masks cover, known without building the network."""
    widths = [Cross(settings.features, model.embedding_dim).width, *model.hidden, 1]
    return {f"layer{n}": [widths[n + 1], widths[n]] for n in range(len(widths) - 1)}


def snet_weights(ranker: Ranker) -> dict[str, Tensor]:
    """Layer -> the weights that masks cover, on the CPU."""
    return {
        name: weight.detach().cpu() for name, weight in ranker.get_submodule("network.net.weights").named_parameters()
    }


def build(
    model: RankerModel, settings: Settings, sizes: Mapping[str, int], seed: int, masks: Mapping[str, Mask] | None = None
) -> Ranker:
    """A freshly initialised ranker; equal seeds give equal weights. Without masks, sNET is dense for every task."""
    cross = Cross(settings.features, model.embedding_dim)
    own = model.sharing == "single"
    embeddings = {
        name: Embedding(settings.features, sizes, model.embedding_dim, seed, f"embedding/{name}")
        for name in (TASKS if own else ("shared",))
    }
    network: nn.Module
    if model.sharing == "sparse_weight":
        network = SparseSharing(cross.width, model.hidden, TASKS, seed, masks)
    else:
        network = Towers(cross.width, model.hidden, model.shared_layers, TASKS, seed)
    return Ranker(embeddings, cross, network)
