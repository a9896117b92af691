"""Why a user has a tag, or has it not: what each expert adds to the score.

    python -m tagging.explain --config conf/demo.toml --day 2026-01-07 --user u12 --tag tag03

By eq. 7 and 2 of MVKE the cosine is a sum over the task's experts: gate weight times the product of the expert's vector
and the tag's, over their lengths. Prints the gate weights, those terms, their sum and the score that came of it.
"""

import argparse
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import pyarrow.parquet
import torch
from torch import Tensor

from conf import cli
from conf.errors import InputError
from conf.load import load_settings
from conf.settings.run_file import Settings
from etl.artefact import read_manifest
from etl.contract import FIRST_VALUE, feature_columns
from tagging.scoring.export import SMALLEST_NORM, Export
from tagging.scoring.inputs import Inputs, opened
from trainer.daily.open import open_tagger


@dataclass(frozen=True)
class Explanation:
    """One task. experts: counted from 1, one alone in a tower without VKEs. gates: their weights.

    shares: what each adds to the cosine.
    """

    task: str
    experts: list[int]
    gates: list[float]
    shares: list[float]
    logit: float
    score: float

    @property
    def cosine(self) -> float:
        return sum(self.shares)


def parser() -> argparse.ArgumentParser:
    parsed = cli.parser("Explain the scores of a user and a tag.", publishes=False)
    parsed.add_argument("--day", type=cli.day, required=True, help="the day of the tags")
    parsed.add_argument("--user", required=True, help="user_id, as in users/dt=D")
    parsed.add_argument("--tag", required=True, help="the tag, as in user_tags/dt=D")
    return parsed


def main() -> None:
    arguments = parser().parse_args()
    for line in explain(load_settings(arguments.config), arguments.day, arguments.user, arguments.tag):
        print(line, flush=True)


def explain(settings: Settings, day: date, user: str, tag: str) -> Iterator[str]:
    """The lines of the answer; raises InputError when there is no such user or tag on the day."""
    inputs = opened(open_tagger(settings), day)
    ids, exported = user_row(inputs, user), inputs.export()
    place = tag_column(inputs, tag)
    known = [
        f.name
        for f in settings.features
        if f.table == "users"
        and any(ids[0, inputs.columns.index(column)] >= FIRST_VALUE for column in feature_columns(f))
    ]
    yield f"user {user} and tag {tag}, {inputs.run.name} of {day}; known of the user: {', '.join(known) or 'nothing'}"
    for task in exported.tasks:
        found = explained(inputs, exported, ids, place, task)
        yield f"\n{task}: score {found.score:.4f} (calibrated), logit {found.logit:+.4f}, cosine {found.cosine:+.4f}"
        yield f"  {'expert':>6} {'gate':>7} {'adds':>9}"
        for expert, gate, share in zip(found.experts, found.gates, found.shares, strict=True):
            yield f"  {expert:>6} {gate:>7.3f} {share:>+9.4f}"
        yield f"  {'sum':>6} {sum(found.gates):>7.3f} {found.cosine:>+9.4f}"


def explained(inputs: Inputs, exported: Export, ids: Tensor, place: int, task: str) -> Explanation:
    """ids: of the features of one user [1, C_users]. place: column of the tag in the export."""
    matrices, tagger = exported.tasks[task], exported.tagger
    with torch.inference_mode():
        vectors = tagger.user_vectors(ids, task)[0]  # [K, D]
    count = len(vectors)
    first, second = torch.triu_indices(count, count)
    gates = matrices.squares[first == second, place].sqrt().float()  # of a_k^2
    dots = (vectors * matrices.products[:, place].reshape(count, -1)).sum(dim=1)
    shares = dots / (gates @ vectors).norm().clamp(min=SMALLEST_NORM)
    logit = matrices.scale * shares.sum()
    return Explanation(
        task,
        [place + 1 for place in tagger.towers_of(task).user_tower.vectors_of(task)],
        gates.tolist(),
        shares.tolist(),
        float(logit),
        float(inputs.calibrations[task](logit)),
    )


def user_row(inputs: Inputs, user: str) -> Tensor:
    """Feature ids of one user [1, C_users]."""
    for entry in read_manifest(inputs.folder, hint="")["files"]:
        found = pyarrow.parquet.read_table(
            inputs.folder / entry["name"], columns=inputs.columns, filters=[("user_id", "=", user)], partitioning=None
        )
        if len(found):
            return torch.tensor([[found[column][0].as_py() for column in inputs.columns]])
    raise InputError(f"there is no user '{user}'", where=inputs.folder, hint="give --user as that table writes it")


def tag_column(inputs: Inputs, tag: str) -> int:
    """Column of a tag in the export."""
    tags = list(inputs.tags.values())
    if tag in inputs.run.settings.tagging.retired:
        raise InputError(
            f"tag '{tag}' is retired", where="[tagging] retired", hint="take it out there, or ask for another"
        )
    if tag not in tags:
        close = difflib.get_close_matches(tag, tags, n=3) or tags[:3]
        raise InputError(
            f"there is no tag '{tag}' with an id",
            where=inputs.run.paths.vocabulary(inputs.day),
            hint=f"choose another, e.g. {', '.join(close)}",
        )
    return tags.index(tag)


if __name__ == "__main__":
    cli.run(main)
