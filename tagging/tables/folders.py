"""Where a day's tables are published, staged, and written block by block."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from conf.paths import Paths


@dataclass(frozen=True)
class TableFolders:
    """One folder a table, or a table and task."""

    user_tags: dict[str, Path]
    profiles: Path
    audience: dict[str, Path]

    @classmethod
    def published(cls, paths: Paths, day: date, tasks: Iterable[str]) -> "TableFolders":
        audience = {task: paths.audience(day, task) for task in tasks}
        return cls({task: paths.user_tags(day, task) for task in tasks}, paths.profiles(day), audience)

    def staged(self, paths: Paths) -> "TableFolders":
        def stage(folders: Mapping[str, Path]) -> dict[str, Path]:
            return {task: paths.staging(folder) for task, folder in folders.items()}

        return TableFolders(stage(self.user_tags), paths.staging(self.profiles), stage(self.audience))

    @property
    def all(self) -> list[Path]:
        return [*self.user_tags.values(), self.profiles, *self.audience.values()]


@dataclass(frozen=True)
class BlockFolders:
    """Where workers write the files of their blocks, as absolute paths.

    pairs: audiences of a task before they are sorted by tag. progress: reports of finished blocks (tables/progress.py).
    """

    user_tags: dict[str, Path]
    pairs: dict[str, Path]
    profiles: Path
    progress: Path

    @classmethod
    def of(cls, paths: Paths, day: date, staged: TableFolders) -> "BlockFolders":
        return cls(
            user_tags={task: folder.resolve() for task, folder in staged.user_tags.items()},
            pairs={
                task: folder.with_name(f"{folder.name}.pairs").resolve() for task, folder in staged.audience.items()
            },
            profiles=staged.profiles.resolve(),
            progress=paths.staging(paths.user_tags(day, "progress")).resolve(),
        )

    @property
    def data(self) -> list[Path]:
        """The folders that get one file from each block."""
        return [*self.user_tags.values(), *self.pairs.values(), self.profiles]

    @property
    def temporary(self) -> list[Path]:
        """The folders to remove once the tables are published."""
        return [self.progress, *self.pairs.values()]
