"""What scoring a day takes, opened and held against each other before any work begins."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.compute
import pyarrow.parquet

from conf.errors import InputError
from etl.artefact import identity, read_manifest
from etl.contract import columns_of, feature_columns
from tagging.scoring.calibration import Calibration, calibrations, predictions_used
from tagging.scoring.export import Export, export
from trainer.daily.open import TaggerRun
from trainer.data import reader, vocabulary
from trainer.models.tagger import Tagger


@dataclass(frozen=True)
class Inputs:
    """users: how many. columns: of their features. tags: id -> name, without the retired ones.

    calibration_notes: by task, what a manifest says of the calibration.
    """

    run: TaggerRun
    day: date
    users: int
    columns: list[str]
    tags: dict[int, str]
    tagger: Tagger
    calibrations: dict[str, Calibration]
    calibration_notes: dict[str, Any]

    @property
    def folder(self) -> Path:
        return self.run.paths.users(self.day)

    @property
    def made_from(self) -> dict[str, Any]:
        """Identities of everything that scores depend on."""
        paths, run = self.run.paths, self.run
        days = next(iter(self.calibration_notes.values()))["days"]
        return {
            "users": identity(self.folder),
            "vocabulary": identity(paths.vocabulary(self.day)),
            "model": identity(paths.model(run.family, run.name, self.day)),
            "predictions": predictions_used(run, days),
            "retired": sorted(run.settings.tagging.retired),
        }

    def export(self) -> Export:
        return export(self.tagger, list(self.tags))


def opened(run: TaggerRun, day: date) -> Inputs:
    """The inputs of a day; raises InputError when one is absent, damaged, or does not go with the others."""
    paths, settings = run.paths, run.settings
    folder = paths.users(day)
    columns = columns_of(f for f in settings.features if f.table == "users")
    users = reader.check(folder, {**dict.fromkeys(columns, "int32"), "user_id": "string"})
    tags = tags_in_use(run, day)
    if read_manifest(folder, hint="").get("vocabulary") != vocabulary.vocabulary_identity(paths, day):
        raise InputError(
            "encoded by another vocabulary than the day's",
            where=folder,
            hint=f"build it again: python -m etl.build_users --day {day} --force",
        )
    _refuse_unknown_ids(run, day)
    tagger = run.load_model(day).cpu()
    if not all(bool(weights.isfinite().all()) for weights in tagger.parameters()):
        raise InputError(
            "its weights are not numbers",
            where=paths.model(run.family, run.name, day),
            hint=f"train it again: python -m trainer.train_day --family {run.family} --day {day} --force",
        )
    made, notes = calibrations(run, day)
    return Inputs(run, day, users, columns, tags, tagger, made, notes)


def tags_in_use(run: TaggerRun, day: date) -> dict[int, str]:
    """id -> tag, of all that have an id and are not retired, in order of id; raises InputError without any."""
    feature, retired = run.settings.tagger.tag_feature, run.settings.tagging.retired
    where = run.paths.vocabulary(day)
    known = vocabulary.values(run.paths, day, feature)
    if not known:
        raise InputError(
            f"no value of '{feature}' has an id yet",
            where=where,
            hint="start with more days, or lower [vocabulary] min_count",
        )
    if damaged := [tag for n, tag in known.items() if n >= vocabulary.sizes(run.paths, day)[feature]]:
        raise InputError(
            f"tag '{damaged[0]}' has an id that its manifest does not know",
            where=where,
            hint=f"build it again: python -m etl.build_samples --day {day} --force",
        )
    if absent := sorted(set(retired) - set(known.values())):
        print(f"retired, but no tags so far: {', '.join(absent)}", flush=True)
    kept = {n: tag for n, tag in known.items() if tag not in retired}
    if not kept:
        raise InputError("every tag is retired", where="[tagging] retired", hint="keep one")
    return kept


def _refuse_unknown_ids(run: TaggerRun, day: date) -> None:
    """Ids beyond the vocabulary, or none at all, would end in a worker's stack trace."""
    folder, sizes = run.paths.users(day), vocabulary.sizes(run.paths, day)
    size_of = {c: sizes[f.name] for f in run.settings.features if f.table == "users" for c in feature_columns(f)}
    for entry in read_manifest(folder, hint="")["files"]:
        table = pyarrow.parquet.read_table(folder / entry["name"], columns=list(size_of), partitioning=None)
        for column, size in size_of.items():
            found = pyarrow.compute.min_max(table[column]).as_py()
            if table[column].null_count or (len(table) and not 0 <= found["min"] <= found["max"] < size):
                raise InputError(
                    f"column {column} has ids that are missing or not in the vocabulary",
                    where=folder / entry["name"],
                    hint=f"build it again: python -m etl.build_users --day {day} --force",
                )
