"""Explains the score of a user and a tag: what each expert adds to it.

    sparsetag explain --config conf/demo.toml --day 2026-01-07 --user u12 --tag tag03

By MVKE eq. 7 and eq. 2 the cosine is a sum over the task's experts: the gate weight times the dot product of the
expert's vector and the tag's, divided by the lengths of the user's and the tag's vectors. Prints gate weights, terms,
their sum, and the calibrated score.
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
from conf.settings.run_file import Settings
from etl.artefact import read_manifest
from etl.contract import FIRST_VALUE, feature_columns
from tagging.scoring.export import SMALLEST_NORM, Export
from tagging.scoring.inputs import Inputs, open_inputs
from trainer.daily.open import open_tagger


@dataclass(frozen=True)
class Explanation:
    """One task. experts: their numbers from 1; a tower without VKEs has one.

    gates: weight of each expert. contributions: what each adds to the cosine. score: calibrated.
    """

    task: str
    experts: list[int]
    gates: list[float]
    contributions: list[float]
    logit: float
    score: float

    @property
    def cosine(self) -> float:
        return sum(self.contributions)


def parser() -> argparse.ArgumentParser:
    parsed = cli.parser("Explain the scores of a user and a tag.", publishes=False)
    parsed.add_argument("--day", type=cli.day, required=True, help="the day of the tags")
    parsed.add_argument("--user", required=True, help="user_id, as in users/dt=D")
    parsed.add_argument("--tag", required=True, help="the tag, as in user_tags/dt=D")
    return parsed


def main() -> None:
    arguments = parser().parse_args()
    for line in explain(cli.load(arguments), arguments.day, arguments.user, arguments.tag):
        print(line, flush=True)


def explain(settings: Settings, day: date, user: str, tag: str) -> Iterator[str]:
    """The lines to print; raises InputError when the day has no such user or tag."""
    inputs = open_inputs(open_tagger(settings), day)
    ids, exported = read_user(inputs, user), inputs.export()
    column = tag_column(inputs, tag)
    known = ", ".join(known_features(inputs, ids)) or "nothing"
    yield f"user {user} and tag {tag}, {inputs.run.name} of {day}; known of the user: {known}"
    for task in exported.tasks:
        found = explain_task(inputs, exported, ids, column, task)
        yield f"\n{task}: score {found.score:.4f} (calibrated), logit {found.logit:+.4f}, cosine {found.cosine:+.4f}"
        yield f"  {'expert':>6} {'gate':>7} {'adds':>9}"
        for expert, gate, contribution in zip(found.experts, found.gates, found.contributions, strict=True):
            yield f"  {expert:>6} {gate:>7.3f} {contribution:>+9.4f}"
        yield f"  {'sum':>6} {sum(found.gates):>7.3f} {found.cosine:>+9.4f}"


def explain_task(inputs: Inputs, exported: Export, ids: Tensor, column: int, task: str) -> Explanation:
    """ids: of the features of one user [1, C_users]. column: of the tag in the export."""
    matrices, tagger = exported.tasks[task], exported.tagger
    with torch.inference_mode():
        vectors = tagger.user_vectors(ids, task)[0]  # [K, D]
    count = len(vectors)
    first, second = torch.triu_indices(count, count)
    gates = matrices.squares[first == second, column].sqrt().float()  # the diagonal holds a_k^2
    dots = (vectors * matrices.products[:, column].reshape(count, -1)).sum(dim=1)
    contributions = dots / (gates @ vectors).norm().clamp(min=SMALLEST_NORM)
    logit = matrices.scale * contributions.sum()
    return Explanation(
        task,
        [expert + 1 for expert in tagger.towers_of(task).user_tower.vectors_of(task)],
        gates.tolist(),
        contributions.tolist(),
        float(logit),
        float(inputs.calibrations[task].curve(logit)),
    )


def read_user(inputs: Inputs, user: str) -> Tensor:
    """Feature ids of one user [1, C_users]; raises InputError when users/dt=D has no such user."""
    for entry in read_manifest(inputs.users_folder, hint="")["files"]:
        found = pyarrow.parquet.read_table(
            inputs.users_folder / entry["name"],
            columns=inputs.columns,
            filters=[("user_id", "=", user)],
            partitioning=None,
        )
        if len(found):
            return torch.tensor([[found[column][0].as_py() for column in inputs.columns]])
    raise InputError(
        f"there is no user '{user}'", where=inputs.users_folder, hint="give --user as that table spells it"
    )


def known_features(inputs: Inputs, ids: Tensor) -> list[str]:
    """Names of the user features with a known value."""
    values = dict(zip(inputs.columns, ids[0].tolist(), strict=True))
    features = inputs.run.layout.of_table("users")
    return [f.name for f in features if any(values[column] >= FIRST_VALUE for column in feature_columns(f))]


def tag_column(inputs: Inputs, tag: str) -> int:
    """Column of a tag in the export; raises InputError when the tag is not scored."""
    tags = list(inputs.tags.values())
    if tag in inputs.run.settings.tagging.retired:
        raise InputError(
            f"tag '{tag}' is retired", where="[tagging] retired", hint="take it out there, or name another"
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
