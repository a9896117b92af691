"""The place of every artefact. Other people and checks read these tables: the names stay."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path


@dataclass(frozen=True)
class Paths:
    root: Path

    def samples(self, day: date) -> Path:
        return self.root / "samples" / f"dt={day}"

    def quarantine(self, table: str, day: date) -> Path:
        return self.root / "quarantine" / table / f"dt={day}"

    def vocabulary(self, day: date) -> Path:
        return self.root / "vocabulary" / f"dt={day}"

    def users(self, day: date) -> Path:
        return self.root / "users" / f"dt={day}"

    def masks(self, family: str, version: str) -> Path:
        return self.root / "masks" / family / version

    def mask_rounds(self, family: str, version: str) -> Path:
        """Finished rounds of a mask generation under way; removed once the masks are published."""
        return self.root / "_rounds" / family / version

    def model(self, family: str, run: str, day: date) -> Path:
        return self.root / "models" / family / run / f"dt={day}"

    def predictions(self, family: str, run: str, day: date) -> Path:
        return self.root / "predictions" / family / run / f"dt={day}"

    def comparison(self, name: str) -> Path:
        return self.root / "comparisons" / name

    def user_tags(self, day: date, task: str) -> Path:
        return self.root / "user_tags" / f"dt={day}" / f"task={task}"

    def profile_diff(self, day: date) -> Path:
        return self.root / "profile_diff" / f"dt={day}"

    def profiles(self, day: date) -> Path:
        return self.root / "profiles" / f"dt={day}"

    def audience(self, day: date, task: str) -> Path:
        return self.root / "audience" / f"dt={day}" / f"task={task}"

    def staging(self, target: Path) -> Path:
        """Where an artefact is written before its rename; on the same file system as its target."""
        return self.root / "_staging" / str(target.relative_to(self.root)).replace("/", "__")


def mask_version(version: str, suffix: str | None, seed: int) -> str:
    """Name of the masks of a run: [masks] version, the model file's suffix when it has one, and the seed."""
    return run_name(f"{version}-{suffix}" if suffix else version, seed)


def run_name(name: str, seed: int) -> str:
    """Name of a run or of a mask version: seed 0 is the product, other seeds are repetitions beside it."""
    return name if seed == 0 else f"{name}-seed{seed}"
