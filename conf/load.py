"""Reads run files and model files; every mistake becomes one line that names file, key and hint."""

import difflib
import os
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, TomlConfigSettingsSource

from conf.errors import InputError
from conf.settings.model_file import GbdtModel, Model, ModelFile, RankerModel, TaggerModel
from conf.settings.run_file import Settings

MODELS = Path(__file__).parent / "models"
_FAMILIES: dict[str, type[ModelFile]] = {"ranker": RankerModel, "gbdt": GbdtModel, "tagger": TaggerModel}
_NOT_SETTINGS = {"SPARSETAG_CONFIG", "SPARSETAG_TEST_DATA"}


def load_settings(path: str | Path) -> Settings:
    """The settings of a run file, overridden by SPARSETAG_<SECTION>__<KEY>; raises InputError."""
    path = Path(path)
    _parse(path)
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
        raise _refusal(path, error, Settings) from None
    for section in (settings.ranker, settings.tagger):
        model_for(settings, section.model, used_in=path)
    return settings


def model_for(settings: Settings, name: str, used_in: Path | None = None) -> Model:
    """The model, held against the run that it is to be part of; raises InputError when they do not fit."""
    model, where = load_model(name, used_in), MODELS / f"{name}.toml"
    if model.family == "gbdt":
        return model
    kinds = settings.labels.kinds
    if unknown := [kind for kind in model.kinds if kind not in kinds]:
        raise InputError(
            f"[tasks] {unknown[0]}: the run file lists no such kind of action",
            where=where,
            hint=f"add it to its [labels] kinds (now: {', '.join(kinds) or 'none'}), or take the task out",
        )
    crossed = [feature.name for feature in settings.features if feature.kind == "numeric" and feature.cross]
    if model.family == "ranker" and model.numeric == "tanh" and crossed:
        raise InputError(
            f"numeric = 'tanh': the run file has feature '{crossed[0]}' in the cross, where only embeddings are",
            where=where,
            hint=f"take cross out of feature '{crossed[0]}', or set numeric = 'bucketed'",
        )
    return model


def load_model(name: str, used_in: Path | None = None) -> Model:
    """The model declared by conf/models/<name>.toml, whatever the run; raises InputError."""
    path = MODELS / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in MODELS.glob("*.toml")))
        raise InputError(f"there is no model '{name}'", where=used_in or path, hint=f"choose one of: {known}")
    declared = _parse(path)
    try:
        return TypeAdapter(Model).validate_python(declared)
    except ValidationError as error:
        raise _refusal(path, error, _FAMILIES.get(str(declared.get("family")), ModelFile)) from None


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        raise InputError("there is no such file", where=path, hint="give --config the path of a run file") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"not TOML: {error}", where=path, hint="mend the line named") from None


def _refuse_unknown_overrides() -> None:
    sections = {f"SPARSETAG_{name.upper()}" for name in Settings.model_fields}
    for variable in sorted(os.environ):
        section = variable.upper().split("__")[0]
        if section.startswith("SPARSETAG_") and section not in sections and variable not in _NOT_SETTINGS:
            close = difflib.get_close_matches(section, sections, n=1)
            hint = f"did you mean {close[0]}__...?" if close else "unset it"
            raise InputError("no such section", where=f"environment variable {variable}", hint=hint)


def _refusal(path: Path, error: ValidationError, root: type[BaseModel]) -> InputError:
    # a key misspelt is an unknown one and a missing one: the unknown one says more
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    location = [str(part) for part in first["loc"]]
    if location[:1] == ["source"]:
        del location[1:2]  # the kind, which is no key of the file
    key = ".".join(location) or "the file as a whole"
    if first["type"] == "extra_forbidden":
        close = difflib.get_close_matches(location[-1], _keys_beside(root, location), n=1)
        return InputError(
            f"unknown key '{key}'", where=path, hint=f"did you mean '{close[0]}'?" if close else "remove it"
        )
    if first["type"] == "missing":
        return InputError(
            f"key '{key}' is missing", where=path, hint="add it; conf/settings/run_file.py says what it means"
        )
    message = first["msg"].removeprefix("Value error, ")
    got = f" (got {first['input']!r})" if not isinstance(first["input"], dict) else ""
    return InputError(f"key '{key}': {message}{got}", where=path, hint="mend that key in the file or its override")


def _keys_beside(model: type[BaseModel], location: list[str]) -> list[str]:
    for part in location[:-1]:
        field = model.model_fields.get(part)
        candidate = field.annotation if field else None
        if not (isinstance(candidate, type) and issubclass(candidate, BaseModel)):
            break
        model = candidate
    return list(model.model_fields)
