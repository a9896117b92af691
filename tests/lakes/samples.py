"""Samples and vocabularies with random rows, published without Spark."""

from datetime import date, timedelta

import numpy as np
import pandas as pd

from conf.paths import Paths
from conf.settings.run_file import Settings
from etl.contract import VOCABULARY, samples_schema
from tests.lakes.settings import START
from tests.lakes.tables import publish_table


def sizes(day: date) -> dict[str, int]:
    """Vocabularies that grow by two users and one item a day."""
    age = (day - START).days
    return {
        "user_id": 30 + 2 * age, "age": 6, "gender": 4, "region": 5, "item_id": 20 + age, "author_id": 8,
        "tag": 9, "duration_s": 10, "domain": 5, "hour": 26,
    }  # fmt: skip


def sample_rows(settings: Settings, day: date, rows: int, seed: int = 0) -> pd.DataFrame:
    """Random impressions whose clicks depend on age x tag, and whose conversions depend on age and duration."""
    random = np.random.default_rng([seed, (day - START).days])
    known = sizes(day)
    frame = pd.DataFrame({"impression_id": [f"{day}-{n:06d}" for n in range(rows)]})
    for feature in settings.features:
        ids = random.integers(1, known[feature.name], rows)
        if feature.kind == "multi":
            frame["f_tag_0"], frame["f_tag_1"], frame["f_tag_2"] = ids, np.where(ids % 2, ids - 1, 0), 0
        else:
            frame[f"f_{feature.name}"] = ids
    frame["user_id"] = "u" + frame["f_user_id"].astype(str)
    frame["item_id"] = "i" + frame["f_item_id"].astype(str)
    frame["ts"] = np.arange(rows)
    frame["domain"] = "d" + frame["f_domain"].astype(str)
    click = random.random(rows) < 0.2 + 0.5 * ((frame["f_age"] + frame["f_tag_0"]) % 2)
    frame["click"] = click.astype(np.float32)
    share = np.clip((frame["f_age"] + frame["f_duration_s"]) / 15 + random.normal(0, 0.1, rows), 0, 1)
    frame["conversion"] = np.where(click, share, 0)
    frame["converted"] = (frame["conversion"] >= 0.5).astype(np.float32)
    frame["action"] = np.where(click & (random.random(rows) < 0.1), 1, 0)
    for kind in settings.labels.kinds:
        frame[f"action_{kind}"] = np.where(frame["action"] == 1, random.random(rows) < 0.6, 0)
    for feature in settings.features:
        if feature.kind == "numeric":
            # some number in the bucket that the id stands for; missing where the id is that of missing ones
            edges = [0.0, *feature.boundaries, 2 * feature.boundaries[-1]]
            bucket = frame[f"f_{feature.name}"] - 2
            value = np.interp(bucket + 0.5, np.arange(len(edges)), edges)
            frame[f"v_{feature.name}"] = np.where(bucket < 0, np.nan, value)
    frame["click_defined"] = 1.0
    frame["action_defined"] = frame["conversion_defined"] = frame["click"]
    return frame


def write_samples(settings: Settings, day: date, frame: pd.DataFrame, row_group: int = 400) -> None:
    """Publishes rows as samples/dt=D, with a vocabulary of the day."""
    paths, known = Paths(settings.lake.root), sizes(day)
    values = [
        {"feature": name, "value": f"{name}{n}", "id": n, "first_seen": str(START), "count": 5}
        for name, size in known.items()
        for n in range(2, size)
    ]
    publish_table(
        settings, paths.vocabulary(day), VOCABULARY.schema(), [pd.DataFrame(values)], {"day": str(day), "sizes": known}
    )
    columns = {f.name: frame[f"v_{f.name}"] for f in settings.features if f.kind == "numeric"}
    numbers = {n: {"defined": int(c.count()), "mean": c.mean(), "std": c.std(ddof=0)} for n, c in columns.items()}
    manifest = {"day": str(day), "vocabulary": known, "values": numbers}
    publish_table(settings, paths.samples(day), samples_schema(settings), [frame], manifest, row_group)


def publish_days(settings: Settings, count: int, rows: int = 1200) -> list[date]:
    days = [START + timedelta(days=n) for n in range(count)]
    for day in days:
        write_samples(settings, day, sample_rows(settings, day, rows))
    return days
