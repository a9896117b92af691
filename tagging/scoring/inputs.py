"""What scoring a day needs, opened and checked against each other before any work begins."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.compute
import pyarrow.parquet

from conf import log
from conf.errors import InputError
from etl.artefact import identity, read_manifest
from etl.contract import columns_of, feature_columns
from tagging.scoring.calibration_fit import FittedCalibration, fit_calibrations
from tagging.scoring.export import Export, export
from trainer.daily.open import TaggerRun
from trainer.data import reader, vocabulary
from trainer.models.tagger import Tagger


@dataclass(frozen=True)
class Inputs:
    """user_count: rows of users/dt=day. columns: of the user features. tags: id -> name, without retired ones.

    calibrations: by task.
    """

    run: TaggerRun
    day: date
    user_count: int
    columns: list[str]
    tags: dict[int, str]
    tagger: Tagger
    calibrations: dict[str, FittedCalibration]

    @property
    def users_folder(self) -> Path:
        return self.run.paths.users(self.day)

    @property
    def made_from(self) -> dict[str, Any]:
        """Identities of everything that scores depend on."""
        paths, run = self.run.paths, self.run
        days = next(iter(self.calibrations.values())).days
        return {
            "users": identity(self.users_folder),
            "vocabulary": identity(paths.vocabulary(self.day)),
            "model": identity(paths.model(run.family, run.name, self.day)),
            "predictions": {str(day): identity(paths.predictions(run.family, run.name, day)) for day in days},
            "retired": sorted(run.settings.tagging.retired),
        }

    def export(self) -> Export:
        return export(self.tagger, list(self.tags))


def open_inputs(run: TaggerRun, day: date) -> Inputs:
    """The inputs of a day; raises InputError when one is missing, damaged, or does not match the others."""
    paths = run.paths
    folder = paths.users(day)
    columns = columns_of(run.layout.of_table("users"))
    user_count = reader.check(folder, {**dict.fromkeys(columns, "int32"), "user_id": "string"})
    tags = read_tags(run, day)
    if read_manifest(folder, hint="").get("vocabulary") != vocabulary.vocabulary_identity(paths, day):
        raise InputError(
            "encoded by another vocabulary than the day's",
            where=folder,
            hint=f"rebuild it: sparsetag build_users --day {day} --force",
        )
    _check_ids(run, day)
    tagger = run.load_model(day).cpu()
    if not all(bool(weights.isfinite().all()) for weights in tagger.parameters()):
        raise InputError(
            "its weights are not finite",
            where=paths.model(run.family, run.name, day),
            hint=f"train that day again: sparsetag train_day --family {run.family} --day {day} --force",
        )
    return Inputs(run, day, user_count, columns, tags, tagger, fit_calibrations(run, day))


def read_tags(run: TaggerRun, day: date) -> dict[int, str]:
    """id -> tag for the tags to score, those with an id that are not retired; raises InputError without any."""
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
            f"tag '{damaged[0]}' has an id beyond the size that the manifest gives",
            where=where,
            hint=f"rebuild it: sparsetag build_samples --day {day} --force",
        )
    if absent := sorted(set(retired) - set(known.values())):
        log.warning("retired tags not in the vocabulary", day=day, tags=", ".join(absent))
    kept = {n: tag for n, tag in known.items() if tag not in retired}
    if not kept:
        raise InputError("every tag is retired", where="[tagging] retired", hint="take at least one out")
    return kept


def _check_ids(run: TaggerRun, day: date) -> None:
    """Raises InputError for ids that are missing or beyond the vocabulary, which would crash a worker."""
    folder, sizes = run.paths.users(day), vocabulary.sizes(run.paths, day)
    size_of = {column: sizes[f.name] for f in run.layout.of_table("users") for column in feature_columns(f)}
    for entry in read_manifest(folder, hint="")["files"]:
        table = pyarrow.parquet.read_table(folder / entry["name"], columns=list(size_of), partitioning=None)
        for column, size in size_of.items():
            found = pyarrow.compute.min_max(table[column]).as_py()
            if table[column].null_count or (len(table) and not 0 <= found["min"] <= found["max"] < size):
                raise InputError(
                    f"column {column} has ids that are missing or not in the vocabulary",
                    where=folder / entry["name"],
                    hint=f"rebuild it: sparsetag build_users --day {day} --force",
                )
