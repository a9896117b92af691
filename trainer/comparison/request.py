"""What a comparison compares: which models, over which seeds and days."""

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal

from conf import cli
from trainer.comparison.rankscore import Rankscore

Family = Literal["ranker", "tagger"]


@dataclass(frozen=True)
class Request:
    """name: of the folder comparisons/<name>. base: the model that all are compared with, one of `models`.

    seeds: how many repetitions, seeds 0 to `seeds` - 1. first, last: the days compared, both included. rankscore:
    rankers only.
    """

    name: str
    family: Family
    models: list[str]
    base: str
    seeds: int
    first: date
    last: date
    rankscore: Rankscore | None = None

    @property
    def days(self) -> list[date]:
        return cli.days(self.first, self.last)

    def as_json(self) -> dict[str, Any]:
        """The published form (`asked`): two requests that differ in it need different names."""
        return {
            "section": self.family,
            "models": self.models,
            "base": self.base,
            "seeds": self.seeds,
            "first": str(self.first),
            "last": str(self.last),
            "rankscore": asdict(self.rankscore) if self.rankscore else None,
        }
