"""Users and items of the simulated world: their attributes, and what attributes say of a taste over tags."""

from typing import Any

import numpy as np
import pandas as pd

AGES, GENDERS, REGIONS, TAGS_AN_ITEM = 6, 2, 8, 3

Floats = Any  # numpy array


def made_users(random: np.random.Generator, count: int) -> tuple[pd.DataFrame, Floats]:
    """The users table, and its attributes one-hot [users, values]."""
    age = random.choice(AGES, count, p=[0.15, 0.3, 0.25, 0.15, 0.1, 0.05])
    gender, region = random.integers(0, GENDERS, count), random.integers(0, REGIONS, count)
    frame = pd.DataFrame(
        {
            "user_id": [f"u{n}" for n in range(count)],
            "age": [f"{10 * (a + 1)}s" for a in age],
            "gender": np.array(["f", "m"])[gender],
            "region": [f"r{r}" for r in region],
        }
    )
    one_hot = np.concatenate([np.eye(AGES)[age], np.eye(GENDERS)[gender], np.eye(REGIONS)[region]], axis=1)
    return frame, one_hot


def made_items(random: np.random.Generator, count: int, tags: int) -> tuple[pd.DataFrame, Floats]:
    """The items table, and the share of each tag in an item [items, tags]."""
    weights = random.dirichlet(np.full(tags, 3.0))
    tag_counts = random.integers(1, min(TAGS_AN_ITEM, tags) + 1, count)
    chosen = [random.choice(tags, n, replace=False, p=weights) for n in tag_counts]
    shares = np.zeros((count, tags))
    for item, its_tags in enumerate(chosen):
        shares[item, its_tags] = 1 / len(its_tags)
    frame = pd.DataFrame(
        {
            "item_id": [f"i{n}" for n in range(count)],
            "author_id": [f"a{a}" for a in random.integers(0, max(1, count // 5), count)],
            "tags": [[f"tag{t:02d}" for t in its_tags] for its_tags in chosen],
            "duration_s": np.round(np.exp(random.normal(3.6, 0.8, count)), 1),
        }
    )
    return frame, shares


def made_taste(random: np.random.Generator, attributes: Floats, tags: int) -> Floats:
    """Preferences [users, tags] of unit variance, of which 5 % is the user's own."""
    explained = taste_of_attributes(random, attributes, tags)
    return explained + random.normal(0, 0.2, (len(attributes), tags))


def taste_of_attributes(random: np.random.Generator, attributes: Floats, tags: int) -> Floats:
    """Preferences [users, tags] that users with the same attributes share."""
    groups = [AGES, GENDERS, REGIONS]
    scale = np.repeat([0.75, 0.45, 0.4], groups)[:, None]
    return attributes @ (random.normal(0, 1, (sum(groups), tags)) * scale)
