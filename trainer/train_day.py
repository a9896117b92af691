"""JOB: one day of incremental training.

    sparsetag train_day --config conf/demo.toml --family ranker --day 2026-01-07

The model of the day before first predicts the day, so that every metric is out of sample, and its predictions are
published. Only then does the day train the model: a network continues from yesterday's weights, trees are fit to all
days so far. Days since [training] start that have no model yet are trained first, in order: a day's model depends on
the samples from the start to that day and on nothing else.
"""

import argparse

from conf import cli
from conf.errors import InputError
from trainer.daily.open import add_model_argument, open_run
from trainer.daily.train import train_missing


def parser() -> argparse.ArgumentParser:
    made = cli.parser("Train a model on a day, after it predicted that day.")
    made.add_argument("--family", choices=["ranker", "tagger"], required=True)
    cli.add_days(made)
    add_model_argument(made)
    return made


def main() -> None:
    arguments = parser().parse_args()
    settings = cli.load(arguments)
    days = cli.chosen_days(arguments)
    start = settings.training.start
    if days[0] < start:
        raise InputError(f"{days[0]} is before [training] start = {start}", where="--day", hint="choose a later day")
    run = open_run(settings, arguments.family, arguments.model)
    train_missing(run, days[-1], forced_from=days[0] if arguments.force else None)


if __name__ == "__main__":
    cli.run(main)
