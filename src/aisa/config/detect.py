"""Vendors that the environment alone makes usable: a key in a well-known variable. Reads no file and asks nobody over the network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from aisa.config.schema import Vendor


class KnownVendor(NamedTuple):
    """A vendor that needs no entry in the configuration. The first of its key variables that is set counts.

    `version` ends its base URL, and is added to one in the environment that has none: its own clients add it themselves.
    """

    name: str
    base_url: str
    key_variables: tuple[str, ...]
    base_url_variable: str
    dialect: Literal["anthropic", "gemini", "mistral", "openai"] = "openai"
    version: str = ""


#: A further vendor is a further row.
KNOWN = (
    KnownVendor("openai", "https://api.openai.com/v1", ("OPENAI_API_KEY",), "OPENAI_BASE_URL"),
    KnownVendor(
        "google",
        "https://generativelanguage.googleapis.com/v1beta",
        ("GOOGLE_API_KEY", "GEMINI_API_KEY"),
        "GOOGLE_GEMINI_BASE_URL",
        "gemini",
        "v1beta",
    ),
    KnownVendor("anthropic", "https://api.anthropic.com/v1", ("ANTHROPIC_API_KEY",), "ANTHROPIC_BASE_URL", "anthropic", "v1"),
    KnownVendor("mistral", "https://api.mistral.ai/v1", ("MISTRAL_API_KEY",), "MISTRAL_BASE_URL", "mistral", "v1"),
)


class Found(NamedTuple):
    """A vendor and the variables it was made from."""

    vendor: Vendor
    origin: str


def detect(environment: Mapping[str, str]) -> dict[str, Found]:
    """Return the vendors that the environment has a key for, by name. An empty variable counts as unset."""
    found: dict[str, Found] = {}
    for known in KNOWN:
        variable = next((name for name in known.key_variables if environment.get(name, "").strip()), "")
        base_url = environment.get(known.base_url_variable, "").strip()
        if variable:
            origin = variable + (f" and {known.base_url_variable}" if base_url else "") + " in the environment"
            address = versioned(base_url, known.version) if base_url else known.base_url
            found[known.name] = Found(Vendor(dialect=known.dialect, base_url=address, api_key=environment[variable].strip()), origin)
    return found


def versioned(base_url: str, version: str) -> str:
    """Return a base URL that ends in a version, in the one that it has or else in this."""
    bare = base_url.rstrip("/")
    return base_url if not version or VERSION.search(bare) else f"{bare}/{version}"


VERSION = re.compile(r"/v\d+(?:alpha|beta)?\d*(?:/|$)")
