"""What makes the samples of a day others: the hash that a later build compares."""

from conf.load import load_settings
from conf.settings.run_file import Settings
from etl.samples.settings_hash import settings_hash


def with_features(settings: Settings, **of_last: object) -> Settings:
    """The last feature changed."""
    *others, last = settings.features
    return settings.model_copy(update={"features": [*others, last.model_copy(update=of_last)]})


def test_the_order_of_features_the_cross_and_paths_do_not_count():
    settings = load_settings("conf/kuairand.toml")
    turned = settings.model_copy(update={"features": settings.features[::-1]})
    elsewhere = settings.model_copy(update={"source": settings.source.model_copy(update={"path": "/other/place"})})
    crossed = with_features(settings, cross=not settings.features[-1].cross)
    assert {settings_hash(s) for s in (turned, elsewhere, crossed)} == {settings_hash(settings)}


def test_a_feature_that_reads_something_else_counts():
    settings = load_settings("conf/demo.toml")
    changed = [with_features(settings, column="other"), with_features(settings, min_count=7)]
    fewer = settings.model_copy(update={"features": settings.features[:-1]})
    assert len({settings_hash(s) for s in (settings, *changed, fewer)}) == 4
