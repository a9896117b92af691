"""Runs two checkouts over the same days and compares everything they publish, to the bit.

    git worktree add /tmp/before <commit>
    python -m tests.bench.nothing_moved /tmp/before . --kuairand /path/to/KuaiRand-Pure/data

Both run with the interpreter of this command: the demo's world (9 days, tags of the last two, some further models) and,
with --kuairand, ten real days. Parquet files and trees are compared as bytes, weights, optimiser states and masks as
tensors by name. Exit code 1 when anything differs.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

# what a later version called otherwise: names of models in paths, beginnings of parameter names
MODELS = {"two_tower_hard_drawn": "two_tower_hard_negatives"}
PARAMETERS = {"mean.": "ema."}
TABLES = ("samples", "quarantine", "vocabulary", "users", "user_tags", "profiles", "audience", "profile_diff")
RANKERS = ("gbdt", "esm2_tanh", "mmoe", "s_weight_multiview_mean")
TAGGERS = ("two_tower_hard_negatives", "mvke_st", "two_tower_cgc")


def jobs(run: str, renamed: dict[str, str]) -> Iterator[list[str]]:
    """The command lines of a run; renamed: new name of a model -> its name in this checkout."""
    first, last, tagged = {
        "demo": ("2026-01-01", "2026-01-09", ("2026-01-08", "2026-01-09")),
        "kuairand": ("2022-04-25", "2022-05-04", ("2022-05-03", "2022-05-04")),
    }[run]
    yield ["etl.build_samples", "--from", first, "--to", last]
    yield ["trainer.generate_masks"]
    for family in ("ranker", "tagger"):
        yield ["trainer.train_day", "--family", family, "--day", last]
    for day in tagged:
        yield ["etl.build_users", "--day", day]
        yield ["tagging.tag_users", "--day", day]
    if run == "demo":
        yield ["trainer.generate_masks", "--model", "s_weight_multiview_mean"]
        for family, models in (("ranker", RANKERS), ("tagger", TAGGERS)):
            for model in models:
                name = renamed.get(model, model)
                yield ["trainer.train_day", "--family", family, "--model", name, "--day", "2026-01-03"]


def build(checkout: Path, lakes: Path, run: str, kuairand: Path | None, renamed: dict[str, str]) -> None:
    environment = os.environ | {
        "SPARSETAG_LAKE__ROOT": str(lakes / run),
        "SPARSETAG_TRACKING__URI": f"sqlite:///{lakes}/{run}.db",
    }
    if run == "kuairand":
        environment["SPARSETAG_SOURCE__PATH"] = str(kuairand)
    for module, *arguments in jobs(run, renamed):
        started = time.monotonic()
        command = [sys.executable, "-m", module, "--config", f"conf/{run}.toml", *arguments]
        done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{checkout}: {' '.join(command)} failed\n{done.stderr[-2000:]}")
        print(f"{checkout}: {run}: {module} {' '.join(arguments)}: {time.monotonic() - started:.0f} s", flush=True)


def contents(lake: Path, before: bool) -> Iterator[tuple[str, str]]:
    """(name, hash) of every published file or tensor, by its present name."""
    for table in TABLES:
        for path in sorted((lake / table).rglob("*.parquet")):
            yield str(path.relative_to(lake)), _hash(path.read_bytes())
    for folder in ("predictions", "models", "masks"):
        for path in sorted(p for p in (lake / folder).rglob("*") if p.is_file() and p.suffix != ".json"):
            name = str(path.relative_to(lake))
            for old, new in MODELS.items() if before else ():
                name = name.replace(f"/{old}/", f"/{new}/")
            if path.suffix != ".pt":
                yield name, _hash(path.read_bytes())
                continue
            for key, tensor in _tensors(torch.load(path, weights_only=True), before):
                yield f"{name}:{key}", _hash(f"{tensor.dtype}{tuple(tensor.shape)}".encode() + tensor.numpy().tobytes())


def _tensors(content: Any, before: bool, prefix: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    if isinstance(content, torch.Tensor):
        yield prefix, content
        return
    for key, value in content.items():
        for old, new in PARAMETERS.items() if before else ():
            key = new + key.removeprefix(old) if key.startswith(old) else key
        yield from _tensors(value, before, f"{prefix}/{key}")


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def compare(before: Path, after: Path) -> int:
    """Prints what is equal by kind of artefact, and every difference; returns the number of differences."""
    old, new = dict(contents(before, True)), dict(contents(after, False))
    different = [name for name in sorted({*old, *new}) if old.get(name) != new.get(name)]
    for name in different:
        print(
            f"DIFFERENT {name}: {'missing before' if name not in old else 'missing after' if name not in new else ''}"
        )
    equal = Counter(name.split("/")[0] for name in new if old.get(name) == new[name])
    print(f"{before.name}: equal: " + ", ".join(f"{kind} {count}" for kind, count in equal.items()), flush=True)
    return len(different)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="checkout of the earlier commit")
    parser.add_argument("after", type=Path, help="checkout of the later commit")
    parser.add_argument("--kuairand", type=Path, help="folder of the official CSV files")
    parser.add_argument("--lakes", type=Path, help="where to build; lakes that are there are kept and only compared")
    arguments = parser.parse_args()
    lakes = arguments.lakes or Path(tempfile.mkdtemp())
    runs = ["demo", *(["kuairand"] if arguments.kuairand else [])]
    sides = {"before": (arguments.before, {new: old for old, new in MODELS.items()}), "after": (arguments.after, {})}
    for side, (checkout, renamed) in sides.items():
        for run in runs:
            if not (lakes / side / run).exists():
                (lakes / side).mkdir(parents=True, exist_ok=True)
                build(checkout, lakes / side, run, arguments.kuairand, renamed)
    sys.exit(1 if sum(compare(lakes / "before" / run, lakes / "after" / run) for run in runs) else 0)


if __name__ == "__main__":
    main()
