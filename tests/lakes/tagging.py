"""A small lake with everything that tagging a day needs, made by hand."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from conf.paths import Paths
from conf.settings.run_file import Settings
from etl.artefact import identity, publish
from etl.contract import VOCABULARY, columns_of, users_schema
from tests.lakes.settings import START, make_settings
from tests.lakes.tables import publish_table
from tests.lakes.tagger import LAYOUT, SIZES, TAGS, trained
from trainer.daily.open import open_tagger
from trainer.evaluation.predictions import write_predictions
from trainer.models.tagger import Tagger
from trainer.training import checkpoint

DAY = START + timedelta(days=2)
USERS = 70
TASKS = ("interest", "intention")
USER_FEATURES = LAYOUT.of_table("users")
# task -> intercept, slope and cubic of the log odds that the labels follow
TERMS = {"interest": (-0.5, 0.4, 0.02), "intention": (0.25, 0.3, 0.0)}


def tagging_settings(root: Path, **tagging: Any) -> Settings:
    """tagging: keys of [tagging]."""
    return make_settings(root, tagging={"top_k": 3, **tagging})


def user_ids() -> torch.Tensor:
    """Feature ids of the users u00 .. u69; of u07 nothing is known."""
    limits = torch.tensor([SIZES[feature.name] for feature in USER_FEATURES])
    ids = (torch.rand(USERS, len(limits), generator=torch.Generator().manual_seed(5)) * (limits - 1)).long() + 1
    ids[7] = 1
    return ids


def make_vocabulary(settings: Settings, day: date, tags: Sequence[int] = TAGS) -> None:
    values = [("tag", f"tag {n}", n) for n in reversed(tags)] + [("tag", "rare", None), ("age", "30", 2)]
    frame = pd.DataFrame(values, columns=["feature", "value", "id"]).astype({"id": "Int32"})
    manifest = {"sizes": {**SIZES, "tag": max([1, *tags]) + 1}}
    target = Paths(settings.lake.root).vocabulary(day)
    publish_table(settings, target, VOCABULARY.schema(), [frame.assign(first_seen=str(START), count=5)], manifest)


def make_users(settings: Settings, files: list[list[int]], day: date = DAY, ids: torch.Tensor | None = None) -> None:
    """Publishes users/dt=day; files: the numbers of the users in each."""
    known = pd.DataFrame((user_ids() if ids is None else ids).numpy(), columns=columns_of(USER_FEATURES))
    frames = [known.iloc[users].assign(user_id=[f"u{n:02d}" for n in users]) for users in files]
    paths = Paths(settings.lake.root)
    manifest = {"vocabulary": identity(paths.vocabulary(day))}
    publish_table(settings, paths.users(day), users_schema(settings.features), frames, manifest)


def make_model(settings: Settings, day: date, tagger: Tagger | None = None, tags: Sequence[int] = TAGS) -> None:
    run = open_tagger(settings)
    order = [feature.name for feature in run.layout.features]
    sizes = {**dict.fromkeys(order, 2), **SIZES, "tag": max(tags) + 1}
    manifest = {**run.identity(day), "sizes": sizes, "feature_order": order}
    target = run.paths.model("tagger", run.name, day)
    publish(run.paths, target, lambda folder: checkpoint.save(folder, tagger or trained(), {}, manifest))


def make_predictions(settings: Settings, day: date) -> None:
    """Logits from -2 to 2, with labels that follow TERMS; undefined rows have the opposite labels."""
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


def make_lake(root: Path, **tagging: Any) -> Settings:
    """Everything that tagging DAY needs."""
    settings = tagging_settings(root, **tagging)
    make_vocabulary(settings, DAY)
    make_users(settings, [list(range(0, USERS, 2)), list(range(1, USERS, 2))])
    make_model(settings, DAY)
    for day in (START + timedelta(days=1), DAY):
        make_predictions(settings, day)
    return settings
