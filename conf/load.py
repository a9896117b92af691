"""Reads run files and model files; every mistake becomes one line that names file, key and hint."""

import difflib
import os
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, TomlConfigSettingsSource

from conf import upgrade
from conf.errors import InputError
from conf.settings.model_file import Model
from conf.settings.run_file import Settings

MODELS = Path(__file__).parent / "models"
_NOT_SETTINGS = {"SPARSETAG_CONFIG", "SPARSETAG_TEST_DATA"}


def load_settings(path: str | Path) -> Settings:
    """The settings of a run file, overridden by SPARSETAG_<SECTION>__<KEY>; raises InputError."""
    path = Path(path)
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
        raise _refusal(path, error, Settings, declared) from None
    for section in (settings.ranker, settings.tagger):
        model_for(settings, section.model, used_in=path)
    return settings


def model_for(settings: Settings, name: str, used_in: Path | None = None) -> Model:
    """The model, held against the run that it is to be part of; raises InputError when they do not fit."""
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
    crossed = [feature.name for feature in settings.features if feature.kind == "numeric" and feature.cross]
    if model.family == "ranker" and model.embedding.numeric == "tanh" and crossed:
        raise InputError(
            f"[embedding] numeric = 'tanh', but feature '{crossed[0]}' of the run file is crossed",
            where=where,
            hint=f"remove cross from feature '{crossed[0]}', or set numeric = 'bucketed'",
        )
    return model


def load_model(name: str, used_in: Path | None = None) -> Model:
    """The model declared by conf/models/<name>.toml, whatever the run; raises InputError."""
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
        raise _refusal(path, error, Model, declared) from None


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


def _refusal(path: Path, error: ValidationError, root: Any, declared: dict[str, Any]) -> InputError:
    # a misspelt key is an unknown one and a missing one: the unknown one says more
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    location, sections = _walk(first["loc"], declared)
    key = ".".join(location)
    if first["type"] == "extra_forbidden":
        close = difflib.get_close_matches(location[-1], _keys_of(root, sections), n=1)
        return InputError(
            f"unknown key '{key}'", where=path, hint=f"did you mean '{close[0]}'?" if close else "remove it"
        )
    if first["type"] == "union_tag_not_found":
        key = ".".join([*location, first["ctx"]["discriminator"].strip("'")])
    if first["type"] in ("missing", "union_tag_not_found"):
        return InputError(f"key '{key}' is missing", where=path, hint="add it; see the reference of settings in docs/")
    message = first["msg"].removeprefix("Value error, ")
    got = f" (got {first['input']!r})" if not isinstance(first["input"], dict) else ""
    what = f"key '{key}': {message}{got}" if key else message
    return InputError(what, where=path, hint="fix it in the file or its override")


def _walk(found: tuple[int | str, ...], declared: Any) -> tuple[list[str], list[tuple[str, Any]]]:
    """The keys of an error's place, without the tags of unions, and each section on the way with its content."""
    keys, sections, current = [], [("", declared)], declared
    for part in found:
        if isinstance(current, dict) and part not in current and part in (current.get("kind"), current.get("family")):
            continue  # which member of a union: no key of the file
        keys.append(str(part))
        inside = isinstance(current, dict) or (isinstance(current, list) and isinstance(part, int))
        current = current[part] if inside and (isinstance(part, int) or part in current) else None
        sections.append((str(part), current))
    return keys, sections


def _keys_of(root: Any, sections: list[tuple[str, Any]]) -> list[str]:
    """The keys that the section of the last place may have."""
    annotation = root
    for (_, content), (key, _) in pairwise(sections[:-1]):
        if get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
        else:
            section = _member(annotation, content)
            annotation = section.model_fields[key].annotation if section and key in section.model_fields else None
    section = _member(annotation, sections[-2][1])
    return list(section.model_fields) if section else []


def _member(annotation: Any, content: Any) -> type[BaseModel] | None:
    """Of a section's type, the member of the union that its content names by `family` and `kind`."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    members = [member for choice in get_args(annotation) if (member := _member(choice, content))]
    named = content if isinstance(content, dict) else {}
    tags = [tag for tag in ("family", "kind") if tag in named]
    return next((m for m in members if all(named[tag] in get_args(_type_of(m, tag)) for tag in tags)), None)


def _type_of(model: type[BaseModel], field: str) -> Any:
    return model.model_fields[field].annotation if field in model.model_fields else None
