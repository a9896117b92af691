"""The next-day table of docs/results.md: models x days, mean and standard deviation over seeds.

    python -m tests.bench.next_day --config conf/kuairand.toml --models single hard sparse_weight --seeds 5 \
        --from 2022-05-01 --to 2022-05-06 --pooled-from 2022-05-05

Reads the predictions that `trainer.train_day` stored before each day was trained on. The last line is what predicting
the mean of all earlier days would give on the pooled days: the scale that MSE figures of other rows lack.
"""

import statistics
from datetime import date

import pandas as pd

from conf import cli
from conf.load import load_settings
from conf.paths import Paths, run_name
from conf.settings import Settings
from trainer.metrics import evaluate
from trainer.predict import read_predictions

METRICS = [("ctr", "auc"), ("ctr", "gauc_impressions"), ("cvr", "mse"), ("cvr", "auc"), ("cvr", "calibration")]


def predictions(settings: Settings, model: str, seed: int, days: list[date]) -> pd.DataFrame:
    paths = Paths(settings.lake.root)
    run = run_name(model, seed)
    return pd.concat([read_predictions(paths.predictions("ranker", run, day)) for day in days], ignore_index=True)


def spread(values: list[float]) -> str:
    return f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}"


def main() -> None:
    parser = cli.parser("Next-day metrics of several models and seeds.")
    cli.add_days(parser)
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--seeds", type=int, required=True)
    parser.add_argument("--pooled-from", type=cli.day, required=True)
    arguments = parser.parse_args()
    settings = load_settings(arguments.config)
    days = cli.chosen_days(arguments)
    pooled = [day for day in days if day >= arguments.pooled_from]
    by_run = {
        (model, seed): {day: predictions(settings, model, seed, [day]) for day in days}
        for model in arguments.models
        for seed in range(arguments.seeds)
    }
    for task, metric in METRICS:
        print(f"\n{task} {metric}\n")
        print("| model |", " | ".join(str(day)[5:] for day in days), f"| pooled {pooled[0]} to {pooled[-1]} |")
        print("|---|" + "---|" * (len(days) + 1))
        for model in arguments.models:
            cells = []
            for chosen in [*([day] for day in days), pooled]:
                values = []
                for seed in range(arguments.seeds):
                    frame = pd.concat([by_run[model, seed][day] for day in chosen])
                    values.append(evaluate(frame[frame["task"] == task])[metric])
                cells.append(spread(values))
            print(f"| {model} |", " | ".join(cells), "|")
    first = settings.training.start.toordinal() + 1
    earlier = [date.fromordinal(n) for n in range(first, pooled[0].toordinal())]
    known = predictions(settings, arguments.models[0], 0, earlier)
    mean = known[(known["task"] == "cvr") & (known["defined"] > 0)]["label"].mean()
    rows = pd.concat([by_run[arguments.models[0], 0][day] for day in pooled])
    labels = rows[(rows["task"] == "cvr") & (rows["defined"] > 0)]["label"]
    print(f"\npredicting the mean: cvr mse {((labels - mean) ** 2).mean():.4f} on {len(labels):,} rows")


if __name__ == "__main__":
    cli.run(main)
