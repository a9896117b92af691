"""Pages of all settings, from the pydantic models by way of their JSON schema."""

from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter

from conf.settings.model_file import Model
from conf.settings.run_file import Settings

Schema = dict[str, Any]
_BOUNDS = {
    "minimum": "≥ {}", "exclusiveMinimum": "> {}", "maximum": "≤ {}", "exclusiveMaximum": "< {}",
    "minItems": "at least {} of them", "pattern": "`{}`",
}  # fmt: skip


def run_file() -> str:
    """Every section of a run file."""
    return _page(TypeAdapter(Settings).json_schema())


def model_file() -> str:
    """Every section of a model file."""
    return _page(TypeAdapter(Model).json_schema())


def keys(schema: Schema) -> Iterator[tuple[str, Schema, bool]]:
    """(section.key, its schema, whether it is required) of all keys that hold a value."""
    for title, of_section in _sections(schema, schema.get("$defs", {}), ""):
        for key, of_key, required in _values(of_section, schema.get("$defs", {})):
            yield f"{title}.{key}", of_key, required


def _page(schema: Schema) -> str:
    parts, definitions = [], schema.get("$defs", {})
    # the top of a run file holds sections only and has no heading; those of model files tell them apart
    sections = [(heading, section) for heading, section in _sections(schema, definitions, "") if heading]
    nested = not all(heading.startswith("[") for heading, _ in sections)
    for heading, section in sections:
        parts.append(f"##{'#' if nested and heading.startswith('[') else ''} {heading}")
        if about := section.get("description"):
            parts.append(_sentence(about.split("\n\n")[0]))
        if rows := list(_values(section, definitions)):
            lines = ["| key | meaning | type | default | bounds |", "|---|---|---|---|---|"]
            lines += [_row(key, of_key, required, definitions) for key, of_key, required in rows]
            parts.append("\n".join(lines))
    return "\n\n".join(parts)


def _sections(schema: Schema, definitions: Schema, name: str) -> Iterator[tuple[str, Schema]]:
    """Heading and schema of a table of the file, then of the tables in it; of a union, each alternative."""
    alternatives = schema.get("oneOf") or [s for s in schema.get("anyOf", []) if _tables_of(s, definitions)]
    if alternatives:
        for alternative in alternatives:
            yield from _sections(_resolved(alternative, definitions), definitions, name)
        return
    if "properties" not in schema:
        return
    choices = [f'{k} = "{p["const"]}"' for k, p in schema["properties"].items() if "const" in p]
    yield " ".join(filter(None, [_brackets(name), ", ".join(choices)])), schema
    for names, inner in _alike(schema["properties"]):
        titles = ", ".join(f"{name}.{key}" if name and not name.startswith("[[") else key for key in names)
        resolved = _resolved(inner, definitions)
        if resolved.get("type") == "array" and "properties" in _resolved(resolved["items"], definitions):
            yield from _sections(_resolved(resolved["items"], definitions), definitions, f"[[{names[0]}]]")
        elif _tables_of(_values_of(resolved), definitions):
            yield from _sections(_resolved(_values_of(resolved), definitions), definitions, f"{titles}.<name>")
        elif _tables_of(resolved, definitions):
            yield from _sections(resolved, definitions, titles)


def _brackets(name: str) -> str:
    return name if not name or name.startswith("[[") else ", ".join(f"[{part}]" for part in name.split(", "))


def _alike(properties: Schema) -> Iterator[tuple[list[str], Schema]]:
    """Keys that hold the same kind of table, together."""
    groups: dict[str, list[str]] = {}
    for key, schema in properties.items():
        options = [schema, *schema.get("anyOf", [])]
        kind = next((option["$ref"] for option in options if "$ref" in option), key)
        groups.setdefault(kind, []).append(key)
    for keys_of_kind in groups.values():
        yield keys_of_kind, properties[keys_of_kind[0]]


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    """References replaced by what they stand for; what is said beside a reference goes first."""
    while "$ref" in schema:
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        schema = definitions[schema["$ref"].split("/")[-1]] | beside
    return schema


def _values_of(schema: Schema) -> Schema:
    """What a table with free keys holds; {} for anything else."""
    found: object = schema.get("additionalProperties") or next(iter(schema.get("patternProperties", {}).values()), {})
    return found if isinstance(found, dict) else {}


def _tables_of(schema: Schema, definitions: Schema) -> bool:
    """Whether it is a table of the file, or a choice among tables."""
    schema = _resolved(schema, definitions)
    options = schema.get("oneOf", []) + schema.get("anyOf", [])
    return "properties" in schema or any(_tables_of(option, definitions) for option in options)


def _values(section: Schema, definitions: Schema) -> Iterator[tuple[str, Schema, bool]]:
    """The keys of a table that hold a value; what tells alternatives apart stands in the heading."""
    for key, schema in section.get("properties", {}).items():
        of_key = _resolved(schema, definitions)
        of_tables = _tables_of(_values_of(of_key), definitions)
        items = of_key.get("type") == "array" and "properties" in _resolved(of_key["items"], definitions)
        if not (_tables_of(of_key, definitions) or of_tables or items or "const" in of_key):
            yield key, of_key, key in section.get("required", [])


def _row(key: str, schema: Schema, required: bool, definitions: Schema) -> str:
    made: object = {"array": [], "object": {}}.get(schema.get("type", ""))  # where a factory makes the default
    default = "required" if required else _toml(schema.get("default", made))
    cells = [f"`{key}`", _sentence(schema.get("description", "")), _type(schema, definitions), default, _bounds(schema)]
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _type(schema: Schema, definitions: Schema) -> str:
    schema = _resolved(schema, definitions)
    if "enum" in schema:
        return ", ".join(f'`"{value}"`' for value in schema["enum"])
    if options := schema.get("anyOf"):
        return " or ".join(_type(option, definitions) for option in options if option.get("type") != "null")
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}), definitions)}"
    if schema.get("type") == "object":
        return f"table of {_type(_values_of(schema), definitions)}"
    if schema.get("format") in ("date", "path"):
        return {"date": "day", "path": "path"}[schema["format"]]
    return {"number": "number", "integer": "integer", "boolean": "true or false"}.get(schema.get("type", ""), "text")


def _bounds(schema: Schema) -> str:
    options = [schema, *schema.get("anyOf", [])]
    return ", ".join(
        text.format(f"{option[key]:g}" if isinstance(option[key], float) else option[key])
        for option in options
        for key, text in _BOUNDS.items()
        if key in option
    )


def _toml(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        return f'`"{value}"`'
    return "empty" if value in ([], {}) else f"`{value}`".replace("'", '"')


def _sentence(text: str) -> str:
    """With a capital, unless it starts with a name (sNET, fm:, p =), and a full stop."""
    text = " ".join(text.replace("<", "&lt;").split())
    first = text.partition(" ")[0].rstrip(",;.")
    capital = len(first) > 1 and first.isalpha() and first.islower()
    return (text[:1].upper() + text[1:] if capital else text) + ("." if text and text[-1] not in ".?" else "")
