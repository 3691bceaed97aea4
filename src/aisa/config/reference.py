"""Draws the configuration's documentation from its schema: a page for people, a JSON Schema for editors. Reads no configuration.

`python -m aisa.config.reference` prints docs/configuration.md.
"""

from __future__ import annotations

import json
import sys
import typing
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from aisa.config.kinds import describe, entry_of, hints, is_section, members
from aisa.config.load import DEFAULT_PATH, PATH_VARIABLE, VARIABLES
from aisa.config.schema import ALIASES, FIELDS, Config
from aisa.config.section import Section
from aisa.pricing import FEES, PRICED

EXAMPLE = """\
server:
  host: 0.0.0.0
  port: 8000
  data_dir: ./aisa-data

vendors:
  openai:
    base_url: https://api.openai.com/v1
    api_key: ${OPENAI_API_KEY}
  local:                          # anything that speaks the OpenAI dialect
    base_url: http://127.0.0.1:11434/v1

models:
  fast: [local/llama3.2]          # the short form: a list of targets, tried in order
  gpt-4.1:
    to: [openai/gpt-4.1, local/llama3.2]
    prices: {input: 2.00, cached_input: 0.50, output: 8.00}
    idle_timeout_seconds: 30
    max_output_tokens: 32768
  spread:
    to:
      - {target: openai/gpt-4.1-mini, weight: 9}
      - {target: local/llama3.2, weight: 1}
"""

INTRODUCTION = """\
# Configuration

<!-- Made by `python -m aisa.config.reference > docs/configuration.md` from the schema. Edit there. -->

`aisa serve` needs no configuration. What you want different goes into a YAML file: `aisa serve --config {path}`.
Without `--config`, `./{path}` is read if it exists. Command line wins over environment, environment over file, file over defaults.

- `aisa config check` says what would run, or everything that is wrong, each with its place and its remedy.
- `aisa config schema` prints a JSON Schema for your editor.
- Unknown settings and keys that stand twice are refused. Relative file names start at the working directory.
- `${{NAME}}` in any text is replaced by that environment variable, `${{NAME:-default}}` by the default where it is unset or empty;
  `$${{` is a literal `${{`. An unset variable without a default is a problem. Inside `{{ }}` and `[ ]`, YAML wants quotes around it.

## Environment

| Variable | Setting |
|---|---|
"""


class Setting(NamedTuple):
    """One line of the reference. `default` is JSON, or None where the setting is required."""

    path: str
    kind: str
    default: str | None
    unit: str
    meaning: str


class Group(NamedTuple):
    """A section, where it stands, and its settings without those of sections within."""

    section: type[Section]
    path: str
    settings: tuple[Setting, ...]


def groups(section: type[Section] = Config, path: str = "") -> Iterator[Group]:
    """Yield every section of the configuration, the outer before the inner."""
    settings: list[Setting] = []
    within: list[tuple[type[Section], str]] = []
    for field in msgspec.structs.fields(section):
        place = f"{path}.{field.encode_name}" if path else field.encode_name
        kind = hints(section)[field.encode_name]
        inner = _section_within(kind, place)
        if inner:
            within.append(inner)
        if place in FIELDS or not inner:
            settings.append(Setting(place, describe(kind), _default(field), _unit(place), FIELDS[place]))
    if settings:
        yield Group(section, path, tuple(settings))
    for inner_section, inner_path in within:
        yield from groups(inner_section, inner_path)


def page() -> str:
    """Return the text of docs/configuration.md."""
    lines = [INTRODUCTION.format(path=DEFAULT_PATH).rstrip("\n"), f"| `{PATH_VARIABLE}` | the file, as `--config` |"]
    lines += [f"| `{variable}` | `{setting}` |" for variable, setting in VARIABLES.items()]
    lines += ["", "Vendors whose key is in the environment need no entry: [vendors.md](vendors.md) lists them and their variables."]
    lines += ["", "## Example", "", f"```yaml\n{EXAMPLE}```"]
    for group in groups():
        title = f"`{group.path}`" if group.path else "Outside the sections"
        lines += ["", f"## {title}", "", (group.section.__doc__ or "").partition("\n")[0], ""]
        lines += ["| Setting | Value | Unit | Default | Meaning |", "|---|---|---|---|---|"]
        for setting in group.settings:
            default = "required" if setting.default is None else f"`{setting.default}`" if setting.default != "null" else ""
            name = setting.path.removeprefix(group.path).lstrip(".")
            lines.append(f"| `{name}` | {setting.kind} | {setting.unit} | {default} | {setting.meaning} |")
    return "\n".join(lines) + "\n"


def json_schema() -> dict[str, object]:
    """Return the configuration's JSON Schema (draft 2020-12), every setting with its meaning."""
    schema = msgspec.json.schema(Config)
    for group in groups():
        properties = schema["$defs"][group.section.__name__]["properties"]
        for setting in group.settings:
            name = setting.path.rpartition(".")[2]
            properties[name] = {"description": setting.meaning, **_or_reference(properties[name])}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "aisa configuration", **schema}


def _or_reference(spec: dict[str, object]) -> dict[str, object]:
    """Let a setting that is no text be an environment reference as well."""
    if spec.get("type") not in ("integer", "number", "boolean") and "enum" not in spec:
        return spec
    default = {"default": spec.pop("default")} if "default" in spec else {}
    return {"anyOf": [spec, {"type": "string", "pattern": r"\$\{"}], **default}


def _section_within(kind: object, path: str) -> tuple[type[Section], str] | None:
    for member in members(kind):
        if is_section(member):
            return None if path in ALIASES else (member, path)
        origin = typing.get_origin(member)
        if origin in (dict, tuple):
            return _section_within(entry_of(member), path + (".<name>" if origin is dict else "[]"))
    return None


def _default(field: msgspec.structs.FieldInfo) -> str | None:
    if field.required:
        return None
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    return json.dumps(value)


def _unit(path: str) -> str:
    name = path.rpartition(".")[2]
    if ".prices." in path and name in FEES:
        return "US dollars each"
    if ".prices." in path and name in PRICED:
        return "US dollars per million tokens"
    units = {
        "_seconds": "seconds",
        "_bytes_max": "bytes",
        "tokens_per_second": "tokens per second",
        "_tokens": "tokens",
        "window": "tokens",
        "rpm": "calls",
        "_per_hour": "documents",
        "tpm": "tokens",
        "concurrency": "calls",
    }
    return next((unit for ending, unit in units.items() if name.endswith(ending)), "")


if __name__ == "__main__":
    sys.stdout.write(page())
