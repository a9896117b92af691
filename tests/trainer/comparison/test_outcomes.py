"""What became of impressions, and the error of predicting the mean."""

import pandas as pd
import pytest

from conf.errors import InputError
from conf.paths import Paths
from tests.lakes.samples import sample_rows, write_samples
from tests.lakes.settings import START
from trainer.comparison.outcomes import mse_of_mean, read_outcomes


def test_outcomes_are_what_was_watched_without_clicks_whose_conversion_is_unknown(settings):
    rows = sample_rows(settings, START, 4)
    rows["click"] = [1.0, 1.0, 0.0, 0.0]
    rows["conversion"] = [0.7, 0.0, 0.0, 0.9]
    rows["conversion_defined"] = [1.0, 0.0, 0.0, 0.0]
    write_samples(settings, START, rows)
    outcomes = read_outcomes(Paths(settings.lake.root), [START])
    assert outcomes["impression_id"].tolist() == [f"{START}-00000{n}" for n in (0, 2, 3)]
    assert outcomes["value"].tolist() == pytest.approx([0.7, 0, 0])
    assert outcomes["clicked"].tolist() == [True, False, False]
    with_length = read_outcomes(Paths(settings.lake.root), [START], "duration_s")
    assert with_length["length"].tolist() == pytest.approx(rows["v_duration_s"][[0, 2, 3]].tolist(), nan_ok=True)
    with pytest.raises(InputError, match="column v_depth is missing"):
        read_outcomes(Paths(settings.lake.root), [START], "depth")


def test_the_mean_of_earlier_clicked_rows_is_what_is_predicted():
    earlier = pd.DataFrame({"conversion": [0.2, 0.6, 0.0], "clicked": [True, True, False]})
    today = pd.DataFrame({"conversion": [0.0, 1.0, 0.0], "clicked": [True, True, False]})
    assert mse_of_mean(earlier, today, "conversion") == pytest.approx(0.26)
    assert mse_of_mean(earlier.tail(1), today, "conversion") is None
    assert mse_of_mean(earlier, today.tail(1), "conversion") is None
