"""Reads one YAML file into plain values, with the line of each and its `${NAME}` references filled in. Knows no setting by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
import yaml

from aisa.config.problem import ConfigErrors, Problem
from aisa.config.schema import Config

CONFIG_BYTES_MAX = 1 << 20  # bounds what the parser is fed; a thousand models with all their settings take 300 kB
CONFIG_DEPTH_MAX = 16  # the schema is six levels deep
CONFIG_NODES_MAX = 100_000  # aliases can name the same node again and again, so the file's size bounds nothing

#: The way to a value: the keys, and the positions in lists, from the top.
Way = tuple[str, ...]

REFERENCE = re.compile(r"\$\$\{|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\})?")


class Document:
    """What a file says. `origins`: where each value stands. `written`: what stands there, of values that had references.

    `variables`: those of the environment that anything was taken from. A value that could not be made out is
    UNSET, so that it is not complained about twice.
    """

    def __init__(self) -> None:
        self.values: dict[str, object] = {}
        self.origins: dict[Way, str] = {}
        self.written: dict[Way, str] = {}
        self.variables: set[str] = set()
        self.found: list[tuple[Way, str, str, tuple[str, ...]]] = []

    def report(self, way: Way, what: str, remedy: str, *, lacking: tuple[str, ...] = ()) -> None:
        """Note a problem with a setting, and the variables that would mend it."""
        self.found.append((way, what, remedy, lacking))

    def errors(self, config: Config) -> ConfigErrors:
        """Return what was reported, in the order of the file; an absent setting counts as standing where its section does."""
        ranks = {way: rank for rank, way in enumerate(self.origins)}
        placed = sorted(self.found, key=lambda each: ranks.get(self._known(each[0]), -1))
        problems = [Problem(self._where(way, self.origins.get(self._known(way))), what, remedy) for way, what, remedy, _ in placed]
        return ConfigErrors(problems, config, lacking=[name for *_, lacking in placed for name in lacking])

    def _where(self, way: Way, origin: str | None) -> str:
        if not way:
            return "configuration"
        return ".".join(way) + (f" ({origin})" if origin else "")

    def _known(self, way: Way) -> Way:
        while way and way not in self.origins:
            way = way[:-1]
        return way


def read_document(path: str, environment: Mapping[str, str]) -> Document:
    """Read a file; what is wrong with single values is in its `errors`.

    Raises ConfigErrors when there is nothing to go on: no such file, not YAML, far too large.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(CONFIG_BYTES_MAX + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise _unreadable(path, f"The file cannot be read: {error.strerror}.", "Name a readable YAML file with --config.") from None
    except UnicodeDecodeError as error:
        raise _unreadable(path, f"Byte {error.start} is not UTF-8 text.", "Save the file as UTF-8.") from None
    if len(data) > CONFIG_BYTES_MAX:
        raise _unreadable(path, f"The file is larger than {CONFIG_BYTES_MAX:,} bytes.", "Name a configuration file with --config.")
    try:
        return _Reader(path, text, environment).read()
    except yaml.YAMLError as error:
        raise _not_yaml(path, text, error) from None
    except RecursionError:
        raise _unreadable(path, f"The file is nested deeper than {CONFIG_DEPTH_MAX} levels.", "Flatten it.") from None


def fill_in(text: str, environment: Mapping[str, str]) -> tuple[str, list[tuple[str, str, tuple[str, ...]]]]:
    """Replace the references of a text. Returns it and what is wrong, each with its remedy and the variable that is lacking.

    `${NAME}` is the variable, `${NAME:-default}` the default where it is unset or empty, `$${` a literal `${`.
    """
    faults: list[tuple[str, str, tuple[str, ...]]] = []

    def value_of(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        if name is None:
            if match[0] == "${":
                faults.append(("A `${` is not followed by a variable's name and `}`.", "Write `${NAME}`, or `$${` for a literal `${`.", ()))
            return "${"
        value = environment.get(name) or default
        if value is None:
            remedy = f"Set the variable, or give a default: `${{{name}:-default}}`."
            faults.append((f"The environment variable {name} is unset or empty.", remedy, (name,)))
        return value or ""

    return REFERENCE.sub(value_of, text), faults


class _Reader:
    """One reading of one file: walks the parser's nodes, because they have lines and still show duplicate keys."""

    def __init__(self, path: str, text: str, environment: Mapping[str, str]) -> None:
        self._path = path
        self._environment = environment
        self._document = Document()
        self._yaml = yaml.SafeLoader(text)
        self._nodes = 0

    def read(self) -> Document:
        node = self._yaml.get_single_node()
        if node is None or node.tag == "tag:yaml.org,2002:null":
            return self._document  # an empty file sets nothing
        if not isinstance(node, yaml.MappingNode):
            raise _unreadable(self._path, "The file is not a mapping of settings.", "Begin with a section such as `server:`.")
        self._document.values = self._mapping(node, ())
        return self._document

    def _value(self, node: yaml.Node, way: Way) -> object:
        self._nodes += 1
        if self._nodes > CONFIG_NODES_MAX or len(way) > CONFIG_DEPTH_MAX:
            limits = f"{CONFIG_DEPTH_MAX} levels or {CONFIG_NODES_MAX:,} values"
            raise _unreadable(self._path, f"At line {_line(node)} the file goes beyond {limits}.", "Look for an alias within itself.")
        self._document.origins[way] = f"{self._path}, line {_line(node)}"
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, way)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(entry, (*way, str(position))) for position, entry in enumerate(node.value)]
        return self._scalar(node, way)

    def _mapping(self, node: yaml.MappingNode, way: Way) -> dict[str, object]:
        values: dict[str, object] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            # A key's text as written, not its YAML value: a model may be called 4.1, on or null.
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else ""
            if not key:
                self._document.report(
                    way, f"{self._path}, line {_line(key_node)}, has a key that is no text.", "Write a name before the colon."
                )
            elif key in lines:
                what = f"`{key}` stands twice in {self._path}, at lines {lines[key]} and {_line(key_node)}."
                self._document.report((*way, key), what, "Keep one of them.")
            else:
                lines[key] = _line(key_node)
                values[key] = self._value(value_node, (*way, key))
                self._document.origins[(*way, key)] = f"{self._path}, line {lines[key]}"
        return values

    def _scalar(self, node: yaml.Node, way: Way) -> object:
        text = str(node.value)
        if node.tag == "tag:yaml.org,2002:bool" and text.lower() not in ("true", "false"):
            return text  # YAML 1.1 takes on, off, yes and no for booleans; `log.format: off` is a word
        if node.tag == "tag:yaml.org,2002:int" and ":" in text:
            return text  # YAML 1.1 takes 8080:80 for a number in base 60
        if node.tag == "tag:yaml.org,2002:timestamp":
            return text  # an `api-version` is text that looks like a day; a day is read from its text
        try:
            value: object = self._yaml.construct_object(node)  # pyright: ignore[reportUnknownMemberType]  # the stubs leave it open
        except (yaml.YAMLError, ValueError):
            self._document.report(way, f"`{text[:60]}` is not a value of the kind its tag says.", "Remove the tag or quote the value.")
            return msgspec.UNSET
        if not isinstance(value, str) or "${" not in value:
            return value
        self._document.written[way] = value
        self._document.variables.update(match["name"] for match in REFERENCE.finditer(value) if match["name"])
        value, faults = fill_in(value, self._environment)
        for what, remedy, lacking in faults:
            self._document.report(way, what, remedy, lacking=lacking)
        return msgspec.UNSET if faults else value


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _unreadable(where: str, what: str, remedy: str) -> ConfigErrors:
    return ConfigErrors([Problem(where, what, remedy)])


def _not_yaml(path: str, text: str, error: yaml.YAMLError) -> ConfigErrors:
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    if mark is None:
        return _unreadable(path, "The file holds characters that YAML does not allow.", "Save it as plain UTF-8 text.")
    line = text.splitlines()[mark.line] if mark.line < len(text.splitlines()) else ""
    if "\t" in line[: len(line) - len(line.lstrip())] or line[mark.column : mark.column + 1] == "\t":
        what = "Not valid YAML: there is a tab where the indentation or a value begins."
        return _unreadable(f"{path}, line {mark.line + 1}, column {line.index(chr(9)) + 1}", what, "Write spaces in place of the tab.")
    remedy = 'Inside { } and [ ], put quotes around "${NAME}".' if "${" in line else "Look at the indentation, quotes and colons there."
    what = f"Not valid YAML: {getattr(error, 'problem', None) or 'it cannot be parsed'}."
    return _unreadable(f"{path}, line {mark.line + 1}, column {mark.column + 1}", what, remedy)
