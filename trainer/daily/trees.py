"""Boosted trees for each head, by LightGBM (GBDT of ESM2 section 4.1.4). The only module that imports it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightgbm import Booster, Dataset, train
from numpy.typing import NDArray
from torch import Tensor

from conf.settings.model_file import GbdtModel
from etl.contract import UNSEEN, feature_columns, value_column
from trainer.data.batch import Batch
from trainer.data.layout import Layout
from trainer.objectives.task import Task

Matrix = NDArray[np.float32]
SUFFIX = ".txt"


@dataclass(frozen=True)
class TreeInputs:
    """What the trees see of a row: ids as categories, and numeric features as raw values, NaN where missing.

    names: id columns f_..., then value columns v_...; features: the feature of each; positions: of the id columns in
    Batch.ids; sizes: the number of ids of each when the trees were fit; values: the value columns.
    """

    names: tuple[str, ...]
    features: tuple[str, ...]
    positions: Tensor
    sizes: Tensor
    values: tuple[str, ...]

    @staticmethod
    def of(layout: Layout, sizes: Mapping[str, int]) -> "TreeInputs":
        embedded = [f for f in layout.features if f.kind != "numeric"]
        ids = [(f.name, column) for f in embedded for column in feature_columns(f)]
        numbers = [(f.name, value_column(f)) for f in layout.features if f.kind == "numeric"]
        return TreeInputs(
            names=tuple(column for _, column in (*ids, *numbers)),
            features=tuple(feature for feature, _ in (*ids, *numbers)),
            positions=torch.tensor(layout.positions(embedded)),
            sizes=torch.tensor([sizes[feature] for feature, _ in ids]),
            values=tuple(column for _, column in numbers),
        )

    def matrix(self, batch: Batch) -> Matrix:
        """[B, len(names)]; an id that the trees do not know counts as unseen. Exact for ids up to 2^24."""
        ids = batch.ids[:, self.positions]
        known = torch.where(ids < self.sizes, ids, UNSEEN)
        rows: Matrix = torch.cat([known.float(), batch.values], 1).numpy()
        return rows

    def dataset(self, matrices: list[Matrix], label: Matrix) -> Dataset:
        ids = list(range(len(self.positions)))
        return Dataset(matrices, label, feature_name=list(self.names), categorical_feature=ids)


@dataclass(frozen=True)
class Trees:
    """boosters: head -> its trees; constants: head -> its logit, where all labels were equal."""

    inputs: TreeInputs
    boosters: Mapping[str, Booster]
    constants: Mapping[str, float]
    threads: int

    @property
    def value_columns(self) -> tuple[str, ...]:
        return self.inputs.values

    def logits(self, batch: Batch, heads: Sequence[str]) -> dict[str, Tensor]:
        matrix = self.inputs.matrix(batch)
        return {head: self._logit(head, matrix) for head in heads}

    def _logit(self, head: str, matrix: Matrix) -> Tensor:
        if head in self.constants:
            return torch.full((len(matrix),), self.constants[head])
        scores = self.boosters[head].predict(matrix, raw_score=True, num_threads=self.threads)
        return torch.from_numpy(np.asarray(scores, dtype=np.float32))

    def importance(self) -> dict[str, dict[str, float]]:
        """head -> feature -> its share of the gain of all splits, most important first."""
        found = {}
        for head, booster in self.boosters.items():
            gains: dict[str, float] = dict.fromkeys(self.inputs.features, 0.0)
            for feature, gain in zip(self.inputs.features, booster.feature_importance("gain"), strict=True):
                gains[feature] += float(gain)
            total = sum(gains.values()) or 1.0
            found[head] = {name: gain / total for name, gain in sorted(gains.items(), key=lambda item: -item[1])}
        return found


def fit(
    batches: Iterable[Batch], heads: Sequence[Task], inputs: TreeInputs, model: GbdtModel, seed: int, threads: int
) -> tuple[Trees, dict[str, float]]:
    """Trees for every head, fit to the rows that it is about, and their mean loss on those rows.

    A head without rows, or whose rows all have the same label, is the constant (sum + 1) / (rows + 2) instead.
    """
    matrices: dict[str, list[Matrix]] = {head.name: [] for head in heads}
    labels: dict[str, list[Matrix]] = {head.name: [] for head in heads}
    for batch in batches:
        for head in heads:
            rows = batch.rows(head.rows(batch))
            if len(rows):
                matrices[head.name].append(inputs.matrix(rows))
                labels[head.name].append(rows.labels[head.label].numpy())
    boosters: dict[str, Booster] = {}
    constants: dict[str, float] = {}
    losses: dict[str, float] = {}
    for name in matrices:
        label = np.concatenate([np.empty(0, np.float32), *labels[name]])
        if len(np.unique(label)) > 1:
            data = inputs.dataset(matrices[name], label)
            booster = train(_parameters(model, seed, threads), data, model.trees, keep_training_booster=True)
            boosters[name], losses[name] = booster, booster.eval_train()[0][2]
        else:
            constants[name] = math.log((label.sum() + 1) / (len(label) - label.sum() + 1))
    return Trees(inputs, boosters, constants, threads), losses


def _parameters(model: GbdtModel, seed: int, threads: int) -> dict[str, Any]:
    """The model's settings by LightGBM's names. `cross_entropy` is the logistic loss, which also takes shares."""
    return {
        "objective": "cross_entropy",
        "learning_rate": model.learning_rate,
        "max_depth": model.depth,
        "num_leaves": 2**model.depth,
        "min_data_in_leaf": model.min_rows,
        "bagging_fraction": model.row_share,
        "bagging_freq": 1,
        "feature_fraction": model.feature_share,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads,
        "verbosity": -1,
    }


def save(folder: Path, trees: Trees) -> None:
    """Writes one text file per head into a staging folder; the constants go into the manifest."""
    for head, booster in trees.boosters.items():
        (folder / f"{head}{SUFFIX}").write_text(booster.model_to_string())


def load(folder: Path, inputs: TreeInputs, constants: Mapping[str, float], threads: int) -> Trees:
    boosters = {path.stem: Booster(model_str=path.read_text()) for path in sorted(folder.glob(f"*{SUFFIX}"))}
    return Trees(inputs, boosters, constants, threads)
