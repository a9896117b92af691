"""What the command lines of all jobs have in common."""

import argparse
import sys
from collections.abc import Callable
from datetime import date, timedelta

from conf import log
from conf.errors import InputError
from conf.load import load_settings
from conf.settings.run_file import Settings


def parser(description: str, *, publishes: bool = True) -> argparse.ArgumentParser:
    """A parser with --config and, for jobs that publish, --force."""
    parsed = argparse.ArgumentParser(description=description)
    parsed.add_argument(
        "--config", required=True, help="run file: a path, or the name of one in the package, e.g. demo"
    )
    if publishes:
        parsed.add_argument("--force", action="store_true", help="replace what is published already")
    return parsed


def load(arguments: argparse.Namespace) -> Settings:
    """The settings of --config. From here on, events are logged as its [log] format says."""
    settings = load_settings(arguments.config)
    log.configure(settings.log.format)
    return settings


def day(text: str) -> date:
    """argparse type of a day: YYYY-MM-DD and nothing else."""
    try:
        parsed = date.fromisoformat(text)
    except ValueError:
        parsed = None
    if parsed is None or str(parsed) != text:
        raise argparse.ArgumentTypeError(f"'{text}' is not a day; write YYYY-MM-DD")
    return parsed


def days(first: date, last: date) -> list[date]:
    """Every day from first to last, both included; raises InputError when last comes before first."""
    if last < first:
        raise InputError(f"--from {first} is later than --to {last}", where="command line", hint="swap them")
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def add_days(parsed: argparse.ArgumentParser) -> None:
    """Adds --day D, and --from A --to B; `chosen_days` reads them."""
    parsed.add_argument("--day", type=day, help="the one day to work on")
    parsed.add_argument("--from", dest="first", type=day, metavar="DAY", help="first day of a range")
    parsed.add_argument("--to", dest="last", type=day, metavar="DAY", help="last day of a range")


def chosen_days(arguments: argparse.Namespace) -> list[date]:
    """The day or the range that the command line names; raises InputError unless it is exactly one of the two."""
    if arguments.day and not (arguments.first or arguments.last):
        return [arguments.day]
    if arguments.first and arguments.last and not arguments.day:
        return days(arguments.first, arguments.last)
    raise InputError("no single day or range is given", where="command line", hint="give --day D, or --from A --to B")


def run(main: Callable[[], None]) -> None:
    """Runs a job. An InputError becomes one line on stderr and exit code 2."""
    log.configure()
    try:
        main()
    except InputError as error:
        log.error(error)
        sys.exit(2)
