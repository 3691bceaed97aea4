"""What a setting must be beyond its type, alone and beside the others. Takes values whose types are already right; changes none."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from types import MappingProxyType
from typing import cast
from urllib.parse import urlsplit

from aisa.config.addresses import ASKED, has_parameter_twice, route_at_end
from aisa.config.detect import to_have
from aisa.config.limits import NO_TIER, known_tiers
from aisa.config.name_words import beside_models
from aisa.config.patterns import each_by_name, model_by_name, pattern_in
from aisa.config.price_checks import PRICE_RULES
from aisa.config.problem import SHOWN_CHARACTERS_MAX, Flaw
from aisa.config.schema import Config, Model, Target
from aisa.names import MODEL_NAME_CHARACTERS_MAX, TIER_NAME_CHARACTERS_MAX, VENDOR_NAME_CHARACTERS_MAX
from aisa.vendors.table import ROWS

#: The built-in model's name where a vendor's is expected.
EMBEDDED = "embedded"

#: How a ranking of price lists names the catalogue that comes with the server.
BUILT_IN = "built-in"
PRICE_LISTS_MAX = 8
LIST_NAME_CHARACTERS_MAX = 100

VENDOR_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
API_KEY_AS = re.compile(r"bearer|header:[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}|query:[!-~]{1,128}")
IN_QUOTES = Flaw(
    "The key stands in quotes, which would be sent with it.", "Take them off where the key is set, in the file or the variable."
)
HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,8192}")
MODEL_NAME_LIMITS = f"A model's name has no spaces at its ends, no control characters, and at most {MODEL_NAME_CHARACTERS_MAX} characters."
ORIGIN = re.compile(r"\*|https?://[^/?#\s@]+")
QUERY_CHARS_MAX = 4096  # of a parameter; request lines of twice that are refused by common servers


def check(setting: str, name: str, value: object) -> Flaw | None:
    """Apply the rule of one setting, if it has one, to the last part of its path and its value.

    `setting` is its path as in `schema.FIELDS`; besides, `vendors.<name>` and `models.<name>` have rules on the names chosen.
    """
    rule = RULES.get(setting)
    return rule(name, value) if rule else None


def check_targets(config: Config, vendor_names: Collection[str], environment: Mapping[str, str]) -> Iterator[tuple[tuple[str, ...], Flaw]]:
    """Yield what is wrong with where models are served, with the way to the setting.

    `vendor_names` also holds vendors whose entry is broken, so that targets are not blamed for that. `environment` may lack a known
    vendor's key.
    """
    known = {*vendor_names, EMBEDDED} if config.embedded.enabled != "never" else {*vendor_names}
    if not known:
        yield ("vendors",), Flaw("There is no vendor and the built-in model is off, so nothing could answer.", "Add a vendor.")
    for name, model in config.models.items():
        to = model.to if isinstance(model, Model) else model
        way = ("models", name, "to")
        if not to:
            yield way, Flaw("The list is empty.", "Name at least one target as vendor/model.")
        for position, target in enumerate(to):
            named = target.target if isinstance(target, Target) else target
            flaw = _target_flaw(named, known, lambda vendor: to_have(vendor, config.discovery, environment))
            meant = None if "/" in named else beside_models(name)
            if flaw and meant:
                yield (*way, str(position)), Flaw(flaw.what, meant)
            elif flaw:
                yield (*way, str(position)), flaw


def check_tiers(config: Config) -> Iterator[tuple[tuple[str, ...], Flaw]]:
    """Yield what is wrong with the names of tiers, with the way to the setting."""
    known = known_tiers(config.limits)
    for name in config.limits.tiers:
        if not name.strip() or not name.isprintable() or len(name) > TIER_NAME_CHARACTERS_MAX:
            yield (
                ("limits", "tiers", name),
                Flaw("This is no name for a tier.", f"Write 1 to {TIER_NAME_CHARACTERS_MAX} printable characters."),
            )
        elif name == NO_TIER != config.limits.default_tier:
            what = f"`aisa accounts set-tier NAME {NO_TIER}` stands for `limits.default_tier`, and no account could be given it."
            yield ("limits", "tiers", name), Flaw(what, "Choose another name.")
    if config.limits.default_tier not in known:
        near = difflib.get_close_matches(config.limits.default_tier, known, 1)
        remedy = f"Did you mean `{near[0]}`?" if near else f"There are {', '.join(known)}."
        yield ("limits", "default_tier"), Flaw(f"There is no tier `{config.limits.default_tier[:SHOWN_CHARACTERS_MAX]}`.", remedy)


def check_proxies(config: Config) -> Iterator[tuple[tuple[str, ...], Flaw]]:
    """Yield what is wrong with whom the server believes."""
    if config.server.proxy_protocol == "accept" and not config.server.trusted_proxies:
        remedy = "Name the proxies in `server.trusted_proxies`, or write `require` where only they can reach the port."
        yield ("server", "proxy_protocol"), Flaw("With `accept` and nobody trusted, any client could name any address.", remedy)


def _target_flaw(target: str, known: Collection[str], to_have: Callable[[str], tuple[str, tuple[str, ...]] | None]) -> Flaw | None:
    vendor, _, model = target.partition("/")
    if not vendor or not model.strip():
        return Flaw(f"`{target}` is not of the form vendor/model.", "Write for example openai/gpt-4.1.")
    if (names_none := pattern_in(target, f"Write one model. Without an entry here, callers use any as {vendor}/MODEL.")) is not None:
        return names_none
    if len(model) > MODEL_NAME_CHARACTERS_MAX or not model.isprintable():
        return Flaw(f"`{target[:SHOWN_CHARACTERS_MAX]}…` names a model that cannot be. {MODEL_NAME_LIMITS}", "Copy its name again.")
    if vendor in known:
        return None
    what = f"There is no vendor `{vendor}`."
    if (had := to_have(vendor)) is not None:
        return Flaw(what, *had)
    near = difflib.get_close_matches(vendor, known, 1)
    return Flaw(what, f"Did you mean `{near[0]}/{model}`?" if near else f"Known vendors: {', '.join(sorted(known)) or 'none'}.")


def _nameable(_name: str, value: object) -> Flaw | None:
    if str(value).strip() and "\0" not in str(value):
        return None
    return Flaw("It is empty, or has a character that no name has.", "Write a value, or remove the line for the default.")


def _preset(_name: str, value: object) -> Flaw | None:
    preset = str(value)
    if value is None or preset in ROWS:
        return None
    near = difflib.get_close_matches(preset, ROWS, 1)
    remedy = f"Did you mean `{near[0]}`?" if near else "See `aisa vendors`."
    return Flaw(f"There is no vendor `{preset[:SHOWN_CHARACTERS_MAX]}` in the table.", remedy)


def _network(_name: str, value: object) -> Flaw | None:
    try:
        ip_network(str(value))
    except ValueError as error:
        return Flaw(f"It is no network: {error}.", "Write an address, or one with the length of its prefix, such as 10.0.0.0/8.")
    return None


def _folder(name: str, value: object) -> Flaw | None:
    return _unexpanded(str(value)) or _nameable(name, value)


def _unexpanded(path: str) -> Flaw | None:
    """Find what a shell would have filled in: taken literally it makes a folder of that name."""
    if path.startswith("~"):
        return Flaw("A `~` at the beginning is a name like any other here; only shells fill it in.", f"Write {os.path.expanduser(path)}.")
    variable = re.search(r"\$([A-Za-z_]\w*)", path)
    if variable is not None:
        return Flaw(f"`{variable[0]}` is not filled in here.", f"Write {path.replace(variable[0], f'${{{variable[1]}}}')}.")
    return None


def _file(_name: str, value: object) -> Flaw | None:
    path = str(value)
    if not os.path.isfile(path):
        remedy = "Name an existing PEM file; relative names start at the working directory."
        return _unexpanded(path) or Flaw(f"There is no file {path}.", remedy)
    return None if os.access(path, os.R_OK) else Flaw(f"The file {path} may not be read by this user.", "Change its owner or mode.")


def _price_list(_name: str, value: object) -> Flaw | None:
    path = str(value)
    if path == BUILT_IN or os.path.isfile(path):
        return None
    remedy = "Name a file in the format of LiteLLM's model_prices_and_context_window.json; relative names start at the working directory."
    return _unexpanded(path) or Flaw(f"There is no file {path}.", remedy)


def _price_lists(_name: str, value: object) -> Flaw | None:
    names = [Path(path).name for path in cast("tuple[str, ...]", value)]
    long = next((name for name in names if len(name) > LIST_NAME_CHARACTERS_MAX), None)
    if long is not None:
        return Flaw(f"A file's name has {len(long)} characters.", f"{LIST_NAME_CHARACTERS_MAX} at most: rows of calls name it.")
    if len(names) > PRICE_LISTS_MAX:
        return Flaw(
            f"There are {len(names)} lists.", f"Name {PRICE_LISTS_MAX} at most: each is asked for every name that has no price yet."
        )
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is None:
        return None
    return Flaw(f"Two of the lists are called {twice}, and rows of calls name them so.", "Give each file a name of its own.")


def _origin(_name: str, value: object) -> Flaw | None:
    return None if ORIGIN.fullmatch(str(value)) else Flaw(f"`{value}` is not a web origin.", "Write https://host, without a path, or *.")


def _base_url(_name: str, value: object) -> Flaw | None:
    text = str(value)
    what = _url_flaw(text)
    if what is None:
        return None
    shown = "" if "@" in text else f" There stands `{text.partition('?')[0][:SHOWN_CHARACTERS_MAX]}`."  # neither a password nor a query
    return Flaw(what + shown, "Write for example https://api.example.com/v1.")


def _url_flaw(text: str) -> str | None:
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        return "It is not an address."
    if url.scheme not in ("http", "https"):
        return "It must begin with http:// or https://."
    if not url.hostname or port == 0 or re.search(r"[^\x21-\x7e]", text):
        return "It has no host, port 0, or characters that no address has."
    if url.username is not None:
        return "It holds a user or a password; a credential belongs in `api_key` or `headers`."
    if "#" in text:
        return "It has a fragment, which no server is ever sent."
    route = route_at_end(text)
    if route is not None and route not in {asked for asked, _ in ASKED.values()}:
        return f"It ends in {route}, the path of one route; paths are added to its end."
    return "Its query has a parameter twice." if has_parameter_twice(text) else None


def _proxy(_name: str, value: object) -> Flaw | None:
    try:
        url = urlsplit(str(value))
        fits = url.scheme == "http" and bool(url.hostname) and url.path in ("", "/") and not url.query and url.port != 0
    except ValueError:
        fits = False
    return None if fits else Flaw("It is not the address of an HTTP proxy.", "Write http://host:port or http://user:password@host:port.")


def _api_key(_name: str, value: object) -> Flaw | None:
    if value is None:
        return None
    if not str(value).strip() or not HEADER_VALUE.fullmatch(str(value)):
        return Flaw("The key is empty or has characters that no header may have.", "Copy it again, or remove the line.")
    return IN_QUOTES if is_quoted(str(value)) else None


def is_quoted(secret: str) -> bool:
    """Say whether a secret stands in quotes, as it does where a file of variables is read by what leaves them in (`docker --env-file`)."""
    text = secret.strip()
    return len(text) > 1 and text[0] == text[-1] and text[0] in "'\""


def _api_key_as(_name: str, value: object) -> Flaw | None:
    if value is None or API_KEY_AS.fullmatch(str(value)):
        return None
    return Flaw(f"`{value}` is no place for a key.", "Write bearer, header:NAME or query:NAME.")


def _parameter(name: str, value: object) -> Flaw | None:
    if name.strip() and len(name) + len(str(value)) <= QUERY_CHARS_MAX:
        return None
    return Flaw("The name is empty, or the parameter is too long.", f"Write at most {QUERY_CHARS_MAX:,} characters.")


def _header(name: str, value: object) -> Flaw | None:
    if HEADER_NAME.fullmatch(name) and HEADER_VALUE.fullmatch(str(value)):
        return None
    return Flaw("The name or the value has characters that no header may have.", "Use printable ASCII characters.")


def _vendor_name(name: str, _value: object) -> Flaw | None:
    if name == EMBEDDED:
        return Flaw("The name belongs to the built-in model.", "Choose another name.")
    if VENDOR_NAME.fullmatch(name) and len(name) <= VENDOR_NAME_CHARACTERS_MAX:
        return None
    allowed = f"letters, digits, `.`, `_` and `-` only, and at most {VENDOR_NAME_CHARACTERS_MAX} of them"
    return Flaw(f"A vendor's name has {allowed}.", "Choose another name.")


def _model_name(name: str, _value: object) -> Flaw | None:
    if (names_none := pattern_in(name, "Write each by its name. Without an entry here, callers use any as vendor/MODEL.")) is not None:
        return names_none
    if name.isprintable() and name == name.strip() and len(name) <= MODEL_NAME_CHARACTERS_MAX:
        return None
    return Flaw(MODEL_NAME_LIMITS, "Choose another name.")


def _allowed_tier(_name: str, value: object) -> Flaw | None:
    tier = str(value)
    if (names_none := pattern_in(tier, "Write each by its name; without the line all that have a price are allowed.")) is not None:
        return names_none
    return Flaw(f"`{tier}` is no name of a tier.", "Write it in small letters.") if tier != tier.lower().strip() or not tier else None


Rule = Callable[[str, object], Flaw | None]

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "server.host": _nameable,
        "server.trusted_proxies[]": _network,
        "server.data_dir": _folder,
        "tls.cert": _file,
        "tls.key": _file,
        "cors.origins[]": _origin,
        "price_catalogues": _price_lists,
        "price_catalogues[]": _price_list,
        "vendors.<name>": _vendor_name,
        "vendors.<name>.preset": _preset,
        "vendors.<name>.base_url": _base_url,
        "vendors.<name>.api_key": _api_key,
        "vendors.<name>.api_keys[]": _api_key,
        "vendors.<name>.api_key_as": _api_key_as,
        "vendors.<name>.headers.<name>": _header,
        "vendors.<name>.query.<name>": _parameter,
        "vendors.<name>.ca_file": _file,
        "vendors.<name>.proxy": _proxy,
        "models.<name>": _model_name,
        "models.<name>.aliases[]": each_by_name,
        "models.<name>.unsupported_parameters[]": each_by_name,
        "models.<name>.reasoning_efforts[]": each_by_name,
        "models.<name>.allowed_tiers[]": _allowed_tier,
        "limits.vendors.<name>.models.<name>": model_by_name,
        **PRICE_RULES,
    }
)
