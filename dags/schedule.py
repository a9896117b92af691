"""When the DAG `daily` runs, and for which day."""

from datetime import UTC, date, datetime

from airflow.sdk import CronDataIntervalTimetable
from airflow.timetables.events import EventsTimetable  # the SDK's own of 3.3.2 cannot be read back by the scheduler

from conf.cli import days
from conf.settings.run_file import Settings


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def timetable(run: Settings) -> CronDataIntervalTimetable | EventsTimetable:
    """A run for every day once it is over; for a closed data set, a run for each of its days.

    The interval's timetable starts a run when its day is over, with `ds` as that day. The end of a closed data set is
    not an `end_date`: Airflow would call a run succeeded that somebody triggers today, and run none of its tasks.
    """
    if run.daily.last is None:
        return CronDataIntervalTimetable(run.daily.schedule, timezone="UTC")
    closed = days(run.training.start, run.daily.last)
    return EventsTimetable([midnight(day) for day in closed], description=f"{closed[0]} to {closed[-1]}, day by day")
