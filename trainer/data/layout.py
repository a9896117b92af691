"""Where each feature's columns are in a batch."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from conf.settings.run_file import Feature
from etl.contract import columns_of


@dataclass(frozen=True)
class Layout:
    """Batch.ids has the columns of `features`, in this order. Models, masks and batches of a run share one layout."""

    features: tuple[Feature, ...]

    @staticmethod
    def of(features: Iterable[Feature]) -> "Layout":
        return Layout(tuple(features))

    @cached_property
    def columns(self) -> list[str]:
        """Columns of Batch.ids: f_<name>, or f_<name>_0.. for a multi-valued feature."""
        return columns_of(self.features)

    def positions(self, features: Iterable[Feature]) -> list[int]:
        """The places of some features' columns in Batch.ids."""
        place = {column: n for n, column in enumerate(self.columns)}
        return [place[column] for column in columns_of(features)]

    def of_table(self, table: Literal["impressions", "users", "items"]) -> tuple[Feature, ...]:
        return tuple(feature for feature in self.features if feature.table == table)

    def feature(self, name: str) -> Feature:
        return next(feature for feature in self.features if feature.name == name)

    def in_order(self, names: Iterable[str]) -> "Layout":
        """The same features, those of `names` first and in that order; names of no feature are skipped."""
        place = {name: n for n, name in enumerate(names)}
        return Layout(tuple(sorted(self.features, key=lambda feature: place.get(feature.name, len(place)))))
