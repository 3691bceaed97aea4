"""A vendor's address as people copy it, brought to the one form that the rest of the program knows. Judges no address."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

CHAT = "/chat/completions"
#: dialect -> the route that it asks, which can be left out of an address; and what stands before it, where clients take that for granted.
ASKED = MappingProxyType({"openai": (CHAT, ""), "anthropic": ("/messages", "/v1")})
NOTHING_ASKED = ("", "")  # of a dialect whose routes have the model's name in them
#: The paths of single routes, as they stand in vendors' examples.
ROUTES = (CHAT, "/completions", "/responses", "/embeddings", "/messages", "/models", "/rerank")


SLASHES = re.compile(r"/{2,}")


class Address(NamedTuple):
    """What a base_url amounts to: up to where paths are added, the parameters of its query, and whether the asked route was left out."""

    base_url: str
    query: dict[str, str]
    shortened: bool


def read_address(base_url: str, dialect: str) -> Address:
    """Take a base_url apart that `route_at_end` and the check of its form have passed."""
    route, prefix = ASKED.get(dialect, NOTHING_ASKED)
    beginning, _, query = base_url.partition("?")
    beginning = beginning.rstrip("/")
    shortened = bool(route) and route_at_end(base_url) == route
    if shortened:
        beginning = beginning[: -len(route)].rstrip("/")
    beginning = beginning if beginning.endswith(prefix) else beginning + prefix
    scheme, mark, rest = beginning.partition("://")
    beginning = scheme + mark + SLASHES.sub("/", rest)  # as where a variable that ends in one was put before a path
    return Address(beginning, dict(parse_qsl(query, keep_blank_values=True)), shortened)


def route_at_end(base_url: str) -> str | None:
    """Return the route whose whole path a base_url ends in, None if it ends as it should."""
    path = urlsplit(base_url).path.rstrip("/")
    return next((route for route in ROUTES if path.endswith(route)), None)


def has_parameter_twice(base_url: str) -> bool:
    """Tell whether the query of a base_url says something twice."""
    parameters = parse_qsl(urlsplit(base_url).query, keep_blank_values=True)
    return len(dict(parameters)) != len(parameters)
