"""Commands that error messages suggest."""

from datetime import date


def build_command(first: date, last: date | str) -> str:
    return f"python -m etl.build_samples --config <run file> --from {first} --to {last}"
