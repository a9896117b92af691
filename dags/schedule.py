"""When the DAG `daily` runs, and for which day."""

from datetime import UTC, date, datetime

from airflow.sdk import CronDataIntervalTimetable
from airflow.timetables.events import EventsTimetable  # the scheduler cannot deserialise the SDK's own of 3.3.2

from conf.cli import days
from conf.settings.run_file import Settings


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def timetable(run: Settings) -> CronDataIntervalTimetable | EventsTimetable:
    """One run per day. `ds` is the day; without [daily] last, its run starts when the day is over.

    The end of a closed data set is not an `end_date`: Airflow would mark a run that somebody triggers today as
    succeeded without running any of its tasks.
    """
    if run.daily.last is None:
        return CronDataIntervalTimetable(run.daily.schedule, timezone="UTC")
    closed = days(run.training.start, run.daily.last)
    return EventsTimetable([midnight(day) for day in closed], description=f"{closed[0]} to {closed[-1]}, day by day")
