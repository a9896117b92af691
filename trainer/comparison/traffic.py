"""How many impressions the compared days have, and how many of them were clicked, by domain."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd
import pyarrow.parquet

from conf.paths import Paths
from etl.artefact import read_manifest

_COLUMNS = ["domain", "click", "click_defined"]


@dataclass(frozen=True)
class Clicks:
    """click_rate: of the impressions whose click is defined; None without any."""

    impressions: int
    click_rate: float | None


@dataclass(frozen=True)
class Traffic:
    """domains: by name, the one with most impressions first."""

    total: Clicks
    domains: dict[str, Clicks]


def read_traffic(paths: Paths, days: Sequence[date]) -> Traffic:
    """Raises InputError when samples are missing."""
    frames: list[pd.DataFrame] = []
    for day in days:
        folder = paths.samples(day)
        manifest = read_manifest(folder, hint=f"build the samples: sparsetag build_samples --day {day}")
        files = [folder / entry["name"] for entry in manifest["files"]]
        frames.extend(pyarrow.parquet.read_table(file, columns=_COLUMNS).to_pandas() for file in files)
    return traffic_of(pd.concat(frames, ignore_index=True))


def traffic_of(impressions: pd.DataFrame) -> Traffic:
    """impressions: domain, click, click_defined."""
    domains = {str(domain): _clicks(rows) for domain, rows in impressions.groupby("domain")}
    busiest_first = sorted(domains, key=lambda domain: (-domains[domain].impressions, domain))
    return Traffic(_clicks(impressions), {domain: domains[domain] for domain in busiest_first})


def _clicks(impressions: pd.DataFrame) -> Clicks:
    defined = impressions.loc[impressions["click_defined"] > 0, "click"].astype(float)
    return Clicks(len(impressions), float(defined.mean()) if len(defined) else None)
