"""What users engaged with, and how often."""

import numpy as np

from conf.load import load_model
from conf.settings.run_file import Settings
from tagging.evaluation.engagement import Engagement, read_engagement
from tests.lakes.samples import sample_rows, write_samples
from tests.lakes.settings import START
from trainer.objectives.build import objective_of

USER_COLUMNS = ["f_user_id", "f_age", "f_gender", "f_region"]


def engaged(pairs: list[tuple[str, int]]) -> Engagement:
    names = sorted({name for name, _ in pairs})
    users = np.array(names, dtype=object)
    user = np.array([names.index(name) for name, _ in pairs], dtype=np.int64)
    return Engagement(users, {}, user, np.array([tag for _, tag in pairs], dtype=np.int64))


def test_counts_of_other_users_and_unknown_tags_are_left_out() -> None:
    earlier = engaged([("b", 2), ("b", 2), ("c", 4), ("d", 2), ("b", 9)])
    counts = earlier.counts(np.array(["a", "b", "c"], dtype=object), [2, 3, 4])
    assert counts.tolist() == [[0, 0, 0], [2, 0, 0], [0, 0, 1]]
    assert earlier.counts(np.array([], dtype=object), [2]).shape == (0, 1)


def test_users_engage_by_clicks_and_by_conversions(settings: Settings) -> None:
    frame = sample_rows(settings, START, 300)
    write_samples(settings, START, frame)
    found = read_engagement(settings, START, objective_of(load_model("mvke"), settings).heads)
    tags = ["f_tag_0", "f_tag_1", "f_tag_2"]
    for task, label in (("interest", "click"), ("intention", "converted")):
        rows = frame[(frame[label] > 0) & (frame[f"{'click' if label == 'click' else 'conversion'}_defined"] > 0)]
        rows = rows[(rows[tags] >= 2).any(axis=1)]
        wanted = sorted((row["user_id"], int(row[tag])) for _, row in rows.iterrows() for tag in tags if row[tag] >= 2)
        got = found[task]
        assert sorted(zip(got.users[got.user], got.tag.tolist(), strict=True)) == wanted
        of_user = rows.groupby("user_id").first()
        assert got.feature_ids(USER_COLUMNS).tolist() == of_user.loc[got.users, USER_COLUMNS].values.tolist()
