"""The command `sparsetag JOB ...`: runs what `python -m MODULE ...` runs, by a short name.

Only the chosen job is imported, so that the list of jobs appears at once.
"""

import difflib
import importlib
import sys
from importlib.metadata import version

JOBS = {  # name -> module, what it does
    "build_samples": ("etl.build_samples", "turn raw logs into samples and vocabularies"),
    "generate_masks": ("trainer.generate_masks", "find the task masks of sparse models, once"),
    "train_day": ("trainer.train_day", "train a ranker or tagger on a day, after it predicted that day"),
    "build_users": ("etl.build_users", "build the table of all users to tag"),
    "tag_users": ("tagging.tag_users", "score all tags for all users; publish tags, profiles and audiences"),
    "compare_models": ("trainer.compare_models", "compare rankers over the same days and seeds"),
    "compare_taggers": ("tagging.compare_taggers", "compare taggers over the same days and seeds"),
    "explain": ("tagging.explain", "explain why a user has a tag"),
    "demo": ("dags.local.demo", "run the whole pipeline on a simulated world under Airflow"),
    "ui": ("dags.local.services", "serve Airflow and MLflow over existing results"),
}
USAGE = """usage: sparsetag [--help | --version] JOB ...

jobs, in the order of a day's work:
{jobs}

'sparsetag JOB --help' lists the options of a job.
"""


def main() -> None:
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(USAGE.format(jobs="\n".join(f"  {job:16} {what}" for job, (_, what) in JOBS.items())), end="")
    elif name == "--version":
        print(f"sparsetag {version('sparsetag')}")
    elif name not in JOBS:
        close = difflib.get_close_matches(name, JOBS, n=1)
        hint = f"did you mean '{close[0]}'?" if close else "see 'sparsetag --help'"
        print(f"error: sparsetag has no job '{name}'; {hint}", file=sys.stderr)
        sys.exit(2)
    else:
        _run(name, arguments)


def _run(name: str, arguments: list[str]) -> None:
    from conf import cli  # imports pydantic, which --help does not need

    sys.argv = [f"sparsetag {name}", *arguments]
    cli.run(importlib.import_module(JOBS[name][0]).main)


if __name__ == "__main__":
    main()
