"""The page of all command lines, from the parsers of the jobs."""

import argparse
import importlib

JOBS = {
    "etl.build_samples": "Raw logs to samples, vocabulary and quarantine",
    "trainer.generate_masks": "Task masks, once",
    "trainer.train_day": "One day of a model",
    "etl.build_users": "All users to tag",
    "tagging.tag_users": "Tags, profiles and audiences of a day",
    "trainer.compare_models": "Rankers over the same days and seeds",
    "tagging.compare_taggers": "Taggers over the same days and seeds",
    "tagging.explain": "Why a user has a tag",
}


def parser_of(module: str) -> argparse.ArgumentParser:
    """The parser that the job itself uses."""
    parser: argparse.ArgumentParser = importlib.import_module(module).parser()
    parser.prog = f"sparsetag {module.split('.')[-1]}"
    return parser


def page() -> str:
    parts = []
    for module, title in JOBS.items():
        parser = parser_of(module)
        parser.formatter_class = _wide
        parts += [f"## {title}", f"`{module.replace('.', '/')}.py`", f"```text\n{parser.format_help().strip()}\n```"]
    return "\n\n".join(parts)


def _wide(prog: str) -> argparse.HelpFormatter:
    return argparse.HelpFormatter(prog, width=100)  # whatever the terminal of the build
