"""What makes the samples of a day others: the hash that a later build compares."""

from conf.load import load_settings
from conf.settings.run_file import Domain, Settings
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


def test_another_domain_counts_and_the_one_that_samples_have_anyway_does_not():
    settings = load_settings("conf/demo.toml")
    named, by_age, by_hour = (
        settings.model_copy(update={"domain": Domain(feature=name)}) for name in ("domain", "age", "hour")
    )
    assert settings_hash(named) == settings_hash(settings)
    assert len({settings_hash(s) for s in (settings, by_age, by_hour)}) == 3


def test_lakes_from_before_domains_and_distributions_stay_valid():
    """As of the commit before these keys came."""
    assert [settings_hash(load_settings(name)) for name in ("demo", "shop")] == ["18165af746b55ed7", "23ae0dedc4787cf9"]
