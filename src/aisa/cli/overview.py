"""Tells what a configuration amounts to, as titled tables. Judges nothing: the configuration has been loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

import msgspec

from aisa.cli.terminal import paint
from aisa.config.load import SECRET, Loaded
from aisa.config.schema import Config, Model, Target
from aisa.config.section import Section
from aisa.credentials.rules import keys_of
from aisa.http.address import bracketed, proxy_for, read_origin
from aisa.storage.running import Running

Rows = list[list[str]]


def overview(loaded: Loaded, environment: Mapping[str, str], running: Running | None = None) -> Iterator[tuple[str, Rows]]:
    """Yield each part's title and rows; parts with nothing to say are left out. `environment` may name proxies.

    The configuration may be that of a server that is `running`, which was perhaps told on its command line where to listen.
    """
    config = loaded.config
    server = config.server
    host, port = server.host, server.port
    if running is not None and running.host is not None and running.port:
        host, port = running.host, running.port
    host = f"[{host}]" if ":" in host else host
    yield (
        "Server",
        [
            ["listens on", f"{'https' if config.tls else 'http'}://{host}:{port}"],
            ["keeps data in", server.data_dir],
            ["built-in model", built_in(config)],
        ],
    )
    if config.vendors:
        yield "Vendors", [vendor_row(loaded, name, environment) for name in config.vendors]
    if config.models:
        yield "Models", [[name, targets(model)] for name, model in config.models.items()]
    settings = [row for setting in loaded.origins if (row := setting_row(loaded, setting))]
    if settings:
        yield "Settings that are given", settings


def built_in(config: Config) -> str:
    """Say when the built-in model answers."""
    if config.embedded.enabled == "never":
        return "off"
    return "answers as embedded/tiny" if config.vendors else "answers under every name, as there is no vendor"


def vendor_row(loaded: Loaded, name: str, environment: Mapping[str, str]) -> list[str]:
    """Return a vendor's row."""
    vendor = loaded.config.vendors[name]
    proxy = proxy_for(read_origin(vendor.base_url), vendor.proxy, environment)
    way = "with a credential" if vendor.google_credentials or vendor.azure_credentials or vendor.aws_credentials else "without a key"
    keys = len(keys_of(vendor))
    way = way if not keys else "with a key" if keys == 1 else f"with {keys} keys"
    if proxy is not None:
        way += f", by the proxy {bracketed(proxy.host)}:{proxy.port}"
    return [name, vendor.base_url, way, paint(loaded.origins[f"vendors.{name}"], dim=True)]


def targets(model: Model | tuple[Target | str, ...]) -> str:
    """Say where a model is served: in order, and by weight where neighbours share the calls."""
    text = ""
    shared = False
    for entry in model.to if isinstance(model, Model) else model:
        weighted = isinstance(entry, Target)
        joint = "" if not text else " or " if weighted and shared else ", then "
        text += joint + (f"{entry.target} ({entry.weight})" if isinstance(entry, Target) else entry)
        shared = weighted
    return text


def setting_row(loaded: Loaded, setting: str) -> list[str] | None:
    """Return the row of a setting outside vendors and models, with where it came from; None for a whole section or a list's entry."""
    section, _, name = setting.partition(".")
    if section in ("vendors", "models") or not name or "." in name:
        return None
    value: object = getattr(getattr(loaded.config, section), name)
    shown = "not shown" if any(part in SECRET for part in (section, name)) else json.dumps(plain(value), ensure_ascii=False)
    return [setting, shown, paint(loaded.origins[setting], dim=True)]


def plain(value: object) -> object:
    """Return a setting's value as JSON has it; of a section that which is no default."""
    if isinstance(value, Section):
        fields = [(field.encode_name, getattr(value, field.name), field.default) for field in msgspec.structs.fields(value)]
        return {name: plain(each) for name, each, default in fields if each not in (default, {}, ())}
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in cast("Mapping[str, object]", value).items()}
    if isinstance(value, tuple | list):
        return [plain(each) for each in cast("Sequence[object]", value)]
    return value
