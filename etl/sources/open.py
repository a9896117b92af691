"""The source that [source] of a run file describes."""

from conf.settings.run_file import Settings
from conf.settings.source import Events, KuaiRand, Simulated
from etl.sources.base import Source
from etl.sources.events import EventsSource
from etl.sources.kuairand import KuaiRandSource
from etl.sources.simulated import SimulatedSource


def open_source(settings: Settings) -> Source:
    start = settings.training.start
    match settings.source:
        case Simulated() as section:
            return SimulatedSource(section)
        case KuaiRand() as section:
            return KuaiRandSource(section, start)
        case Events() as section:
            return EventsSource(section, start, settings.features)
