"""Makes the configuration from file, environment and command line, or says everything that is wrong with it. Starts nothing.

What wins: command line, then environment, then file, then defaults.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import NamedTuple, cast

import msgspec

from aisa.config.addresses import ASKED, NOTHING_ASKED, read_address, route_at_end
from aisa.config.checks import check, check_proxies, check_targets, check_tiers
from aisa.config.document import Document, Way, read_document
from aisa.config.kinds import describe, entry_of, hints, is_section, may_be_empty, part_for
from aisa.config.known import Nearby, half_there, known_vendors, nobody
from aisa.config.name_words import beside_models
from aisa.config.operator_checks import check_identity, check_listen, check_names, check_stores, check_telemetry
from aisa.config.problem import ConfigErrors, Problem
from aisa.config.route_checks import check_pictures, check_routes
from aisa.config.schema import ALIASES, FIELDS, Config, Model
from aisa.config.secret_files import with_secrets
from aisa.config.section import Section
from aisa.vendors.table import ROWS, row_of

PLAIN = re.compile(r"[\w./-]{1,100}")  # what YAML takes as text in a list without quotes
#: The file that is read, if it exists, when none is named.
DEFAULT_PATH = "aisa.yaml"
OTHER_PATH = "aisa.yml"  # what people call it as well, and what is never read unless it is named
#: Environment variable -> setting. `AISA_CONFIG` names the file. An empty variable counts as unset.
VARIABLES = {  # of two for one setting the later one wins
    "HOST": "server.host",
    "PORT": "server.port",
    "AISA_HOST": "server.host",
    "AISA_PORT": "server.port",
    "AISA_DATA_DIR": "server.data_dir",
    "AISA_DISCOVERY_LOOPBACK": "discovery.loopback",
    "DATABASE_URL": "stores.database",
    "REDIS_URL": "stores.limits",
    "VALKEY_URL": "stores.limits",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "telemetry.endpoint",
}
PATH_VARIABLE = "AISA_CONFIG"
SHOWN_CHARS_MAX = 60  # of a wrong value, in a message
SECRET = ("api_key", "api_keys", "client_secret", "headers", "query", "proxy", "stores")  # settings whose values no message repeats


class Loaded(NamedTuple):
    """The configuration, where each setting that is no default came from (dotted path -> place), and the file if one was read.

    `notes` say what was understood otherwise than it stands there, and what was not looked at; `variables` are those of the environment
    that the vendors' entries, or any `${NAME}`, were taken from.
    """

    config: Config
    origins: Mapping[str, str]
    path: str | None
    notes: tuple[Problem, ...] = ()
    variables: tuple[str, ...] = ()


def load(path: str | None, environment: Mapping[str, str], overrides: Mapping[str, object], *, nearby: Nearby = nobody) -> Loaded:
    """Make the configuration. `overrides` are the command line's settings by dotted path, such as `server.port`; None is no override.

    `nearby` looks for vendors on this machine, and is asked only if the configuration wants that.

    In the result every model is a `Model`, and no base_url ends with a slash, in `/chat/completions` or in a query.
    Raises ConfigErrors with every problem at once.
    """
    named = path or environment.get(PATH_VARIABLE) or (DEFAULT_PATH if Path(DEFAULT_PATH).exists() else None)
    document = read_document(named, environment) if named else Document()
    notes: list[Problem] = []
    if named in (None, DEFAULT_PATH) and Path(OTHER_PATH).exists():
        remedy = f"Call it {DEFAULT_PATH}, or name it: --config {OTHER_PATH}."
        if named is None:
            document.report((), f"There is a file {OTHER_PATH} here, but the name that is looked for is {DEFAULT_PATH}.", remedy)
        else:
            notes.append(Problem(OTHER_PATH, f"It is not read, as {DEFAULT_PATH} stands beside it.", "Keep one of the two."))
    told = {setting for variable, setting in VARIABLES.items() if environment.get(variable)}
    wrong = _wrong_beneath(document, {*told, *(setting for setting, value in overrides.items() if value is not None)})
    for variable, setting in VARIABLES.items():
        if environment.get(variable):
            _override(document, setting, environment[variable], origin=f"{variable} in the environment")
            document.written[tuple(setting.split("."))] = environment[variable]
    for setting, value in overrides.items():
        if value is not None:
            _override(document, setting, value, origin="command line")
    document.origins |= wrong
    config = cast("Config", _Builder(document).section(Config, document.values, Place((), "")))  # never UNSET: it requires nothing
    vendors = known_vendors(config, document, environment, nearby=nearby)
    vendors = with_secrets(vendors, document, notes=notes)
    config = _complete(msgspec.structs.replace(config, vendors=vendors), document, notes=notes)
    notes += half_there(config, environment)
    written = document.values.get("vendors")
    named_vendors = {*config.vendors, *(cast("dict[str, object]", written) if isinstance(written, dict) else ())}
    for way, flaw in (
        *check_targets(config, named_vendors, environment),
        *check_names(config, named_vendors),
        *check_listen(config),
        *check_stores(config),
        *check_telemetry(config),
        *check_identity(config),
    ):
        document.report(way, flaw.what, flaw.remedy, lacking=flaw.lacking)
    for way, flaw in (*check_tiers(config), *check_proxies(config), *check_routes(config), *check_pictures(config)):
        document.report(way, flaw.what, flaw.remedy, lacking=flaw.lacking)
    if document.found:
        raise document.errors(config)
    origins = {".".join(way): origin for way, origin in document.origins.items()}
    return Loaded(config, origins, named, tuple(notes), tuple(sorted(document.variables)))


def _wrong_beneath(document: Document, settings: Collection[str]) -> dict[Way, str]:
    """Report what is wrong in a file with settings that something else is told for, and return where that is.

    It counts for nothing now, and for the next start that is told less: a file with such a setting is no good one.
    """
    wrong: dict[Way, str] = {}
    for section, name in sorted((section, name) for section, _, name in (setting.partition(".") for setting in settings)):
        values = document.values.get(section)
        if isinstance(values, dict) and name in values:
            found, inner = len(document.found), Place((), "").field(section).field(name)
            _Builder(document).build(hints(hints(Config)[section])[name], cast("dict[str, object]", values)[name], inner)
            if len(document.found) > found:
                wrong[section, name] = document.origins[section, name]
    return wrong


def _override(document: Document, setting: str, value: object, *, origin: str) -> None:
    section, name = setting.split(".")
    values = document.values.get(section)
    if values is None:
        values = document.values[section] = dict[str, object]()
    if isinstance(values, dict):
        cast("dict[str, object]", values)[name] = value
        document.origins[section, name] = origin
        document.written.pop((section, name), None)


def _complete(config: Config, document: Document, *, notes: list[Problem]) -> Config:
    """Bring what has several spellings to one. `notes` gets what is worth telling of that."""
    vendors = dict(config.vendors)
    for name, vendor in config.vendors.items():
        address = read_address(vendor.base_url, vendor.dialect)
        route, (asked, _) = route_at_end(vendor.base_url), ASKED.get(vendor.dialect, NOTHING_ASKED)
        if route != asked and route in {other for other, _ in ASKED.values()}:
            what = f"It ends in {route}, which the dialect `{vendor.dialect}` does not ask."
            document.report(("vendors", name, "base_url"), what, f"Correct `dialect`, or end it before {asked}.")
        for parameter in sorted(address.query.keys() & vendor.query.keys()):
            way = ("vendors", name, "query", parameter)
            document.report(way, f"The query of `base_url` has the parameter `{parameter}` too.", "Keep one of them.")
        row = row_of(name, address.base_url, vendor.preset)
        if row is not None and (whole := row.below_top(address.base_url)):
            document.report(("vendors", name, "base_url"), f"Nothing is at the top of {row.title}'s host.", f"Write {whole}.")
        if address.shortened:
            where = f"vendors.{name}.base_url"
            notes.append(Problem(where, f"It ends in {asked}, which is added to each address anyway.", f"Read as {address.base_url}."))
        vendors[name] = msgspec.structs.replace(vendor, base_url=address.base_url, query={**address.query, **vendor.query})
    models = {name: entry if isinstance(entry, Model) else Model(to=entry) for name, entry in config.models.items()}
    return msgspec.structs.replace(config, vendors=vendors, models=models)


class Place(NamedTuple):
    """A setting that is being read: the way to it, and its path as FIELDS writes it."""

    way: Way
    setting: str

    def field(self, name: str) -> Place:
        """Return a setting of this section."""
        return Place((*self.way, name), f"{self.setting}.{name}" if self.setting else name)

    def entry(self, name: str) -> Place:
        """Return an entry of this mapping, under a name that the operator chose."""
        return self._within(name, f"{self.setting}.<name>")

    def item(self, position: int) -> Place:
        """Return an entry of this list."""
        return self._within(str(position), f"{self.setting}[]")

    def _within(self, name: str, setting: str) -> Place:
        return Place((*self.way, name), ALIASES.get(setting, setting))


class _Builder:
    """Turns plain values into sections, going on after a problem. UNSET stands for what could not be built."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def section(self, kind: type[Section], values: Mapping[str, object], place: Place) -> object:
        for name in values:
            if name not in hints(kind):
                self._document.report(place.field(name).way, "There is no such setting.", _meant(name, kind))
        built: dict[str, object] = {}
        missing = False
        for field in msgspec.structs.fields(kind):
            inner = place.field(field.encode_name)
            if field.encode_name in values:
                value = self.build(hints(kind)[field.encode_name], values[field.encode_name], inner)
                if value is not msgspec.UNSET:
                    built[field.name] = value
            elif field.required:
                self._document.report(inner.way, "This setting is required.", FIELDS[inner.setting])
            missing = missing or (field.required and field.name not in built)
        return msgspec.UNSET if missing else cast("Callable[..., Section]", kind)(**built)

    def build(self, kind: object, value: object, place: Place) -> object:
        if value is msgspec.UNSET:
            return value
        if value is None and may_be_empty(kind):
            value = dict[str, object]()
        found = len(self._document.found)
        built = self._part(kind, value, place)
        whole = built is not msgspec.UNSET and len(self._document.found) == found  # else it is told already
        flaw = check(place.setting, place.way[-1], built) if whole else None
        if flaw:
            self._document.report(place.way, flaw.what, flaw.remedy)
            return msgspec.UNSET  # as what is of a wrong type: whoever looks at the others would only tell of it again
        return built

    def _part(self, kind: object, value: object, place: Place) -> object:
        part = part_for(kind, value)
        if is_section(part):
            return self.section(part, cast("dict[str, object]", value), place)
        if part is None:
            return self._leaf(kind, value, place)
        if isinstance(value, dict):
            entries = cast("dict[str, object]", value).items()
            built = {name: self.build(entry_of(part), entry, place.entry(name)) for name, entry in entries}
            return {name: entry for name, entry in built.items() if entry is not msgspec.UNSET}
        items = enumerate(cast("list[object]", value))
        listed = [self.build(entry_of(part), item, place.item(position)) for position, item in items]
        return msgspec.UNSET if msgspec.UNSET in listed else tuple(listed)

    def _leaf(self, kind: object, value: object, place: Place) -> object:
        try:
            # What a variable gave is text, whatever the setting's type.
            return msgspec.convert(value, cast("type[object]", kind), strict=place.way not in self._document.written)
        except msgspec.ValidationError:
            what = f"Expected {describe(kind)}, but found {self._shown(value, place.way)}."
            parent = place.setting.rpartition(".")[0]
            meant = beside_models(place.way[-1]) if place.setting == "models.<name>" else None
            remedy = FIELDS.get(place.setting) or meant or FIELDS.get(parent, "See docs/configuration.md.")
            if isinstance(value, str) and meant is None and part_for(kind, [value]) and not any(name in SECRET for name in place.way):
                remedy = f"Write `{place.way[-1]}: [{value if PLAIN.fullmatch(value) else self._shown(value, place.way)}]`. {remedy}"
            self._document.report(place.way, what, remedy)
            return msgspec.UNSET

    def _shown(self, value: object, way: Way) -> str:
        if any(name in SECRET for name in way):
            return "something else"
        text = json.dumps(self._document.written.get(way, value), ensure_ascii=False, default=str)
        return text if len(text) <= SHOWN_CHARS_MAX else text[: SHOWN_CHARS_MAX - 1] + "…"


def _meant(name: str, kind: type[Section]) -> str:
    """Say what may have been meant by a setting that a section does not have: one of another place, or one that is spelled so nearly."""
    names = hints(kind)
    if name in hints(Config):
        return f"`{name}` stands at the left margin, in no other section."
    if name in ROWS and kind is not Config:
        return f"Did you mean `vendors.{name}`?"
    near = difflib.get_close_matches(name, names, 1) or [setting for setting in FIELDS if setting.endswith(f".{name}")]
    return f"Did you mean `{near[0]}`?" if near else f"There are: {', '.join(names)}."


__all__ = ["ConfigErrors", "Loaded", "Problem", "load"]
