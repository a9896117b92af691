"""Reads run files and model files. Every mistake becomes an InputError that names the file, the key and a fix."""

import difflib
import os
import tomllib
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, TomlConfigSettingsSource

from conf import upgrade
from conf.errors import InputError
from conf.mistakes import input_error
from conf.settings.model_file import Model, RankerModel, TaggerModel
from conf.settings.run_file import Settings

RUN_FILES = Path(__file__).parent
MODELS = RUN_FILES / "models"
_NOT_SETTINGS = {"SPARSETAG_CONFIG", "SPARSETAG_TEST_DATA"}


def load_settings(path: str | Path) -> Settings:
    """The settings of a run file, overridden by SPARSETAG_<SECTION>__<KEY>; raises InputError.

    path: a file, or the name of a run file in the package: demo, demo.toml and conf/demo.toml all work anywhere.
    """
    path = _run_file(Path(path))
    declared = _parse(path)
    upgrade.refuse_old_run_file(path, declared)
    _refuse_unknown_overrides()

    class FromFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return env_settings, TomlConfigSettingsSource(settings_cls, toml_file=path)

    try:
        settings = FromFile()
    except ValidationError as error:
        raise input_error(path, error, Settings) from None
    for section in (settings.ranker, settings.tagger):
        model_for(settings, section.model, used_in=path)
    return settings


def model_for(settings: Settings, name: str, used_in: Path | None = None) -> Model:
    """The model of that name; raises InputError when it does not fit the run's settings."""
    model, where = load_model(name, used_in), MODELS / f"{name}.toml"
    if model.kind == "gbdt":
        return model
    known = settings.labels.kinds
    if unknown := [kind for kind in model.action_kinds if kind not in known]:
        raise InputError(
            f"task {unknown[0]}: the run file lists no such kind of action",
            where=where,
            hint=f"add it to [labels] kinds of the run file (now: {', '.join(known) or 'none'}), or remove the task",
        )
    _refuse_unfit_domain(settings, model, where)
    crossed = [feature.name for feature in settings.features if feature.kind == "numeric" and feature.cross]
    if model.family == "ranker" and model.embedding.numeric == "tanh" and crossed:
        raise InputError(
            f"[embedding] numeric = 'tanh', but feature '{crossed[0]}' of the run file is crossed",
            where=where,
            hint=f"remove cross from feature '{crossed[0]}', or set numeric = 'bucketed'",
        )
    return model


def _refuse_unfit_domain(settings: Settings, model: RankerModel | TaggerModel, where: Path) -> None:
    """Raises InputError for a [domain] section that the run file's features do not serve."""
    domain = model.domain
    if domain.needs_feature and settings.domain_feature is None:
        raise InputError(
            f"[domain] kind = '{domain.kind}', but the run file names no feature that tells domains apart",
            where=where,
            hint="set [domain] feature of the run file to a categorical feature, or use kind = 'adaptdhm' or 'none'",
        )
    seen = [f for f in settings.features if model.family == "ranker" or f.table == "users"]
    if model.family == "ranker" and model.embedding.numeric == "tanh":
        seen = [f for f in seen if f.kind != "numeric"]
    known = [*(f.name for f in seen), *dict.fromkeys(f.table for f in seen)]
    if settings.domain_feature in seen:
        known.append("domain")
    if unknown := [name for name in domain.inputs if name not in known]:
        raise InputError(
            f"[domain] route_by = '{unknown[0]}': the model has no vector of such a feature or table",
            where=where,
            hint=f"choose from {', '.join(dict.fromkeys(known))}",
        )


def load_model(name: str, used_in: Path | None = None) -> Model:
    """The model that conf/models/<name>.toml declares; raises InputError."""
    path = MODELS / f"{name}.toml"
    if not path.is_file():
        upgrade.refuse_old_model_name(name, used_in or path)
        known = ", ".join(sorted(p.stem for p in MODELS.glob("*.toml")))
        raise InputError(f"there is no model '{name}'", where=used_in or path, hint=f"choose one of: {known}")
    declared = _parse(path)
    upgrade.refuse_old_model_file(path, declared)
    try:
        return TypeAdapter(Model).validate_python(declared)
    except ValidationError as error:
        raise input_error(path, error, Model) from None


def _run_file(path: Path) -> Path:
    """The path itself when it exists, else the run file of the package that it names."""
    packaged = RUN_FILES / f"{path.stem}.toml"
    names = {Path(packaged.stem), Path(packaged.name), Path("conf", packaged.name)}
    return packaged if not path.is_file() and path in names and packaged.is_file() else path


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        known = ", ".join(sorted(p.stem for p in RUN_FILES.glob("*.toml")))
        hint = f"give --config the path of a run file, or one of: {known}"
        raise InputError("this file does not exist", where=path, hint=hint) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"not readable: {error}", where=path, hint="check the path and its permissions") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"not TOML: {error}", where=path, hint="fix that line") from None


def _refuse_unknown_overrides() -> None:
    sections = {f"SPARSETAG_{name.upper()}" for name in Settings.model_fields}
    for variable in sorted(os.environ):
        section = variable.upper().split("__")[0]
        if section.startswith("SPARSETAG_") and section not in sections and variable not in _NOT_SETTINGS:
            close = difflib.get_close_matches(section, sections, n=1)
            hint = f"did you mean {close[0]}__...?" if close else "unset it"
            raise InputError("no such section", where=f"environment variable {variable}", hint=hint)
