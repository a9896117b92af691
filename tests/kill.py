"""Jobs killed with SIGKILL at a chosen moment: the driver, the JVM and Spark's workers at once."""

import importlib
import os
import pkgutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1]


def killed(job: Callable[[Path], None], root: Path, place: str, after: int = 1) -> None:
    """Runs job(root) in a process of its own that dies when call number `after` of `place` has returned.

    `place` is module:function or module:Class.method as its caller finds it; calls in the workers count as well.
    """
    work = f"{job.__module__}:{job.__qualname__}"
    command = [sys.executable, "-m", "tests.kill", work, str(root), place, str(after)]
    ended = subprocess.run(command, cwd=PROJECT, start_new_session=True, check=False)
    assert ended.returncode == -signal.SIGKILL, "the job ended before that moment"


def deadly(real: Callable[..., Any], after: int, calls: Path) -> Callable[..., Any]:
    """`real`, with one byte in the file `calls` for each call of any process; the last one allowed ends them all."""
    group = os.getpid()

    def call(*arguments: Any, **named: Any) -> Any:
        result = real(*arguments, **named)
        with calls.open("ab") as file:
            file.write(b".")
        if calls.stat().st_size >= after:
            os.killpg(group, signal.SIGKILL)
            os.killpg(0, signal.SIGKILL)  # Spark's workers are a group of their own
        return result

    return call


def main(work: str, root: str, place: str, after: str) -> None:
    job = pkgutil.resolve_name(work)
    module, path = place.split(":")
    *classes, name = path.split(".")
    changed = deadly(pkgutil.resolve_name(place), int(after), Path(root) / "calls")
    if classes:
        # a class of the project travels to the workers by its name, one made in this script as it stands
        (name,), method = classes, name
        changed = type(name, (pkgutil.resolve_name(f"{module}:{name}"),), {method: changed})
    setattr(importlib.import_module(module), name, changed)
    job(Path(root))


if __name__ == "__main__":
    main(*sys.argv[1:])
