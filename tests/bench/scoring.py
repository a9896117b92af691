"""Speed of scoring all users x all tags, between its two bare matrix products and scoring pair by pair.

    python -m tests.bench.scoring [--users 20000] [--tags 1780] [--runs 5] [--threads 1 2]

The tagger has random weights, the features of conf/kuairand.toml and K experts, all for one task. Timed in turn on the
same users: the two products and topk alone; cosines and best tags; the same from feature ids, including the user tower;
the same for a user tower without experts; a user vector and a cosine for each pair, given VKE outputs and gates; and
the model's own logits for each pair. The last two are timed on a few users and scaled up. Scores must agree with the
model's to 1e-5.
"""

import argparse
import multiprocessing
import resource

import torch
from torch import Tensor

from conf import cli
from conf.load import load_model, load_settings
from tagging.scoring import score
from tagging.scoring.export import Export, export
from tagging.scoring.top_k import top_k
from tests.bench.turns import Turns, add_threads
from trainer.data.batch import Batch
from trainer.models.build import tagger as build_tagger
from trainer.models.tagger import Tagger

K, D, TOP = 5, 64, 20
KNOWN_USERS = 20_000  # ids in the user table; more users than that share rows, so that the model does not grow
LITERAL_USERS, MODEL_USERS, CHECKED_USERS = 16, 2, 64
TASK = "interest"
BLOCK_USERS = 10_000  # tag_users hands its workers 65,536 at a time


def random_tagger(tags: int, name: str = "mvke") -> Tagger:
    settings, declared = load_settings("conf/kuairand.toml"), load_model(name)
    assert declared.family == "tagger"
    changes: dict[str, object] = {"output_dim": D}
    if declared.sharing.kind == "mvke":
        everybody = list(range(1, K + 1))
        experts = {"virtual_kernels": K, "assignment": dict.fromkeys(declared.tasks, everybody)}
        changes["sharing"] = declared.sharing.model_copy(update=experts)
    model = declared.model_copy(update=changes)
    sizes = {feature.name: 1000 for feature in settings.features} | {"user_id": KNOWN_USERS, "tag": tags + 2}
    tagger = build_tagger(model, settings, sizes)
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for table in (tagger.towers_of(TASK).user_embedding.table, tagger.towers_of(TASK).tag_embedding.table):
            table.copy_(torch.randn(table.shape, generator=random))
    return tagger


def random_users(tagger: Tagger, users: int, seed: int = 0) -> Tensor:
    ids = torch.randint(1, 1000, (users, len(tagger.user_columns)), generator=torch.Generator().manual_seed(seed))
    ids[:, 0] = torch.arange(users) % (KNOWN_USERS - 2) + 2
    return ids


class Ways:
    """The ways to the best tags of the same users; `vectors` are their VKE outputs [U, K, D]."""

    def __init__(self, exported: Export, two_tower: Export, ids: Tensor) -> None:
        self.of_two_towers = two_tower
        tagger, self.matrices = exported.tagger, exported.tasks[TASK]
        self.exported, self.ids = exported, ids
        self.batch = max(1, min(score.BATCH_USERS, score.BATCH_CELLS // len(exported.tag_ids)))
        self.vectors = torch.cat([tagger.user_vectors(part, TASK) for part in ids.split(self.batch)])
        first, second = torch.triu_indices(K, K)
        self.flat = self.vectors.flatten(1)
        self.grams = (self.vectors @ self.vectors.transpose(1, 2))[:, first, second]
        self.squares = self.matrices.squares.float()
        self.tags = tagger.tag_vectors(tagger.single_tags(exported.tag_ids), TASK)
        self.gates = tagger.gate(self.tags, TASK)

    def bare(self) -> None:
        for start in range(0, len(self.flat), self.batch):
            some = slice(start, start + self.batch)
            self.grams[some] @ self.squares
            (self.flat[some] @ self.matrices.products).topk(TOP)

    def scored(self) -> None:
        buffers = score.Buffers(self.batch, len(self.tags))
        for vectors in self.vectors.split(self.batch):
            top_k(score.cosines(vectors, self.matrices, buffers), TOP)

    def whole(self) -> None:
        score.top_tags(self.exported, self.ids, TASK, TOP, 0.0)

    def two_tower(self) -> None:
        """A user tower of one vector: one product, by the same code."""
        score.top_tags(self.of_two_towers, self.ids, TASK, TOP, 0.0)

    def literal(self) -> None:
        """MVKE eq. 7 and eq. 2 for each pair."""
        for vectors in self.vectors[:LITERAL_USERS]:
            of_user = (self.gates.unsqueeze(1) @ vectors.expand(len(self.tags), K, D)).squeeze(1)
            torch.sigmoid(self.exported.tagger.towers_of(TASK).score(of_user, self.tags))

    def model(self, users: int = MODEL_USERS) -> Tensor:
        """Scores [users, T], of an impression of an item with that one tag for each pair."""
        tagger, tags = self.exported.tagger, self.exported.tag_ids
        width = int(max(tagger.user_columns.max(), tagger.tag_columns.max())) + 1
        rows = []
        for of_user in self.ids[:users]:
            ids = torch.ones(len(tags), width, dtype=torch.int64)
            ids[:, tagger.user_columns] = of_user
            ids[:, tagger.tag_columns] = tagger.single_tags(tags)
            rows.append(torch.sigmoid(tagger.logits(Batch(ids, {}, {}, torch.empty(len(ids), 0)), [TASK])[TASK]))
        return torch.stack(rows)


def peak_memory(users: int, tags: int) -> float:
    """GB that a process takes which scores so many users, a block at a time as the workers of tag_users do."""
    torch.set_num_threads(1)
    tagger = random_tagger(tags)
    exported = export(tagger, range(2, tags + 2))
    for start in range(0, users, BLOCK_USERS):
        ids = random_users(tagger, min(BLOCK_USERS, users - start), seed=start)
        score.top_tags(exported, ids, TASK, TOP, 0.0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--tags", type=int, default=1_780)
    parser.add_argument("--runs", type=int, default=5)
    add_threads(parser)
    arguments = parser.parse_args()
    users, tags = arguments.users, arguments.tags
    # before there is anything here: a process starts with the peak of the one that it comes from
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        peaks = {count: pool.apply(peak_memory, (count, tags)) for count in (users, 2 * users)}
    with torch.inference_mode():
        tagger = random_tagger(tags)
        two_tower = export(random_tagger(tags, "two_tower"), range(2, tags + 2))
        ways = Ways(export(tagger, range(2, tags + 2)), two_tower, random_users(tagger, users))
        cosines = score.cosines(ways.vectors[:CHECKED_USERS], ways.matrices)
        difference = float((torch.sigmoid(ways.matrices.scale * cosines) - ways.model(CHECKED_USERS)).abs().max())
        assert difference <= 1e-5, f"scores differ by {difference} from the model's"
        for threads in arguments.threads:
            torch.set_num_threads(threads)
            names = ("bare", "scored", "whole", "two_tower", "literal", "model")
            turns = Turns({name: getattr(ways, name) for name in names}, arguments.runs)
            print(f"\nscoring: U {users:,}, T {tags:,}, K {K}, D {D}, top {TOP}, {threads} thread(s), medians")
            for name, what, of in (
                ("bare", "the two products and topk, nothing else", users),
                ("scored", "cosines and best tags", users),
                ("whole", "the same with the user tower", users),
                ("two_tower", "two towers without experts, user tower included", users),
                ("literal", f"pair by pair (timed on {LITERAL_USERS} users)", LITERAL_USERS),
                ("model", f"the model's logits (timed on {MODEL_USERS} users)", MODEL_USERS),
            ):
                print(f"{what:48} {of * tags / turns.median(name) / 1e6:8.2f} M pairs/s")
            print(f"{'cosines and best tags / bare':48} {turns.ratio('bare', 'scored'):>28}")
            for name, of in (("literal", LITERAL_USERS), ("model", MODEL_USERS)):
                print(f"{f'cosines and best tags / {name}':48} {turns.ratio(name, 'scored', users / of):>28}")
    print(f"\nlargest difference to the model's scores {difference:.1e} ({CHECKED_USERS} users x {tags:,} tags)")
    for count, size in peaks.items():
        print(f"peak memory of scoring {count:,} users: {size:.2f} GB")


if __name__ == "__main__":
    cli.run(main)
