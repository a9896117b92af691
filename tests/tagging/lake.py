"""A small lake with all that tagging a day takes, made by hand."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import torch

from conf.load import load_settings
from conf.paths import Paths
from conf.settings.run_file import Lake, Settings, Spark, Tagging, Tracking
from etl.artefact import file_hash, identity, publish, write_manifest
from etl.contract import columns_of, users_schema
from tests.tagging.trained import DEMO, FEATURES, SIZES, TAGS, trained
from trainer.daily.open import open_run
from trainer.evaluation.predictions import write_predictions
from trainer.models.tagger import Tagger
from trainer.training import checkpoint

START, DAY = date(2026, 1, 1), date(2026, 1, 3)
USERS = 70
TASKS = ("interest", "intention")
USER_COLUMNS = columns_of(f for f in FEATURES if f.table == "users")
# the log odds that the predictions of the lake came to, by task: intercept, slope, cubic
TERMS = {"interest": (-0.5, 0.4, 0.02), "intention": (0.25, 0.3, 0.0)}


def settings_in(root: Path, spark: Spark | None = None, **tagging: Any) -> Settings:
    return load_settings(DEMO).model_copy(
        update={
            "lake": Lake(root=root / "lake"),
            "tracking": Tracking(uri=f"sqlite:///{root}/mlflow.db"),
            "spark": spark or Spark(master="local[2]", driver_memory="512m", shuffle_partitions=2),
            "tagging": Tagging(**{"top_k": 3, **tagging}),
        }
    )


def user_ids() -> torch.Tensor:
    """Feature ids of the users u00 .. u69; of u07 nothing is known."""
    limits = torch.tensor([SIZES[f.name] for f in FEATURES if f.table == "users"])
    ids = (torch.rand(USERS, len(limits), generator=torch.Generator().manual_seed(5)) * (limits - 1)).long() + 1
    ids[7] = 1
    return ids


def make_vocabulary(settings: Settings, day: date, tags: Sequence[int] = TAGS) -> None:
    def write(folder: Path) -> None:
        rows = [{"feature": "tag", "value": f"tag {n}", "id": n} for n in reversed(tags)]
        rows += [{"feature": "tag", "value": "rare", "id": None}, {"feature": "age", "value": "30", "id": 2}]
        schema = pyarrow.schema([("feature", pyarrow.string()), ("value", pyarrow.string()), ("id", pyarrow.int32())])
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), folder / "part-0.parquet")
        write_manifest(folder, {"sizes": {**SIZES, "tag": max([1, *tags]) + 1}})

    paths = Paths(settings.lake.root)
    publish(paths, paths.vocabulary(day), write)


def make_users(settings: Settings, files: list[list[int]], day: date = DAY, ids: torch.Tensor | None = None) -> None:
    """users/dt=day with the users of these numbers in each file."""
    types = {"string": pyarrow.string(), "int": pyarrow.int32()}
    schema = pyarrow.schema([(name, types[kind]) for name, kind in users_schema(settings.features).items()])
    ids = user_ids() if ids is None else ids

    def write(folder: Path) -> None:
        entries = []
        for n, users in enumerate(files):
            columns = {name: ids[users, place].tolist() for place, name in enumerate(USER_COLUMNS)}
            path = folder / f"part-{n}.parquet"
            pyarrow.parquet.write_table(
                pyarrow.table({"user_id": [f"u{u:02d}" for u in users], **columns}, schema=schema), path
            )
            entries.append({"name": path.name, "rows": len(users), "sha256": file_hash(path)})
        rows = sum(map(len, files))
        write_manifest(folder, {"rows": rows, "files": entries, "vocabulary": identity(paths.vocabulary(day))})

    paths = Paths(settings.lake.root)
    publish(paths, paths.users(day), write)


def make_model(settings: Settings, day: date, tagger: Tagger | None = None, tags: Sequence[int] = TAGS) -> None:
    run = open_run(settings, "tagger")
    manifest = {**run.identity(day), "sizes": {**SIZES, "tag": max(tags) + 1}}
    target = run.paths.model("tagger", run.name, day)
    publish(run.paths, target, lambda folder: checkpoint.save(folder, tagger or trained(), {}, manifest))


def make_predictions(settings: Settings, day: date) -> None:
    """Logits from -2 to 2, each with the share of positives that TERMS say; rows that do not count say the contrary."""
    logits = np.linspace(-2, 2, 4001)
    frames = []
    for task, terms in TERMS.items():
        share = 1 / (1 + np.exp(-sum(term * logits**power for term, power in zip(terms, (0, 1, 3), strict=True))))
        for defined, label in ((1.0, share), (0.0, 1 - share)):
            keys = dict.fromkeys(["impression_id", "user_id", "item_id", "domain"], "x")
            values = {"label": label, "positive": label, "prediction": 1 / (1 + np.exp(-logits))}
            frames.append(pd.DataFrame({**keys, "task": task, "defined": defined, **values}))
    paths = Paths(settings.lake.root)
    target = paths.predictions("tagger", "mvke", day)
    publish(paths, target, lambda folder: write_predictions(folder, pd.concat(frames), {"day": str(day)}))


def make_lake(root: Path, **changes: Any) -> Settings:
    """All that tagging DAY takes."""
    settings = settings_in(root, **changes)
    make_vocabulary(settings, DAY)
    make_users(settings, [list(range(0, USERS, 2)), list(range(1, USERS, 2))])
    make_model(settings, DAY)
    for day in (START + timedelta(days=1), DAY):
        make_predictions(settings, day)
    return settings


def table(folder: Path) -> pd.DataFrame:
    return pyarrow.parquet.read_table(folder, partitioning=None).to_pandas()


def hashes(folder: Path) -> dict[str, str]:
    """Of every file under a folder."""
    return {str(path.relative_to(folder)): file_hash(path) for path in sorted(folder.rglob("*")) if path.is_file()}
