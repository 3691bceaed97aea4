"""Where requests of a vendor go: its base URL, and the proxy on the way there, if any. Pure: resolves no name, reads no environment."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}
PRINTABLE = re.compile("[!-~]*")  # what may stand in a request line: no space and no line break, or a path could add headers


class Origin(NamedTuple):
    """A vendor's base URL taken apart. `authority` is what the Host header says; `prefix` is `""` or starts with `/`."""

    secure: bool
    host: str
    port: int
    authority: str
    prefix: str


class Proxy(NamedTuple):
    """An HTTP proxy. `authorization` is the value of the Proxy-Authorization header, a secret."""

    host: str
    port: int
    authorization: str | None


def read_origin(base_url: str) -> Origin:
    """Take `http(s)://host[:port][/prefix]` apart. Raises ValueError, which does not repeat the URL, for anything else."""
    parts, host, port = _split(base_url)
    if parts is None or parts.scheme not in DEFAULT_PORTS or "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("base_url must look like https://host[:port][/prefix], without credentials, query or fragment")
    if not PRINTABLE.fullmatch(parts.path):
        raise ValueError("the path of base_url may only contain printable ASCII characters")
    named = bracketed(host)
    authority = named if port is None else f"{named}:{port}"
    return Origin(parts.scheme == "https", host, port or DEFAULT_PORTS[parts.scheme], authority, parts.path.rstrip("/"))


def proxy_for(origin: Origin, explicit: str | None, environment: Mapping[str, str]) -> Proxy | None:
    """Return the proxy that leads to the origin: the explicit URL, else the environment's unless NO_PROXY or loopback exempts the host.

    Names in the environment are read in lower case first, then in upper case, as other programs do.
    Raises ValueError, which does not repeat the URL, for a proxy URL that is not `http://[user:password@]host[:port]`.
    """
    if explicit:
        return _read_proxy(explicit, "the proxy setting")
    name = "https_proxy" if origin.secure else "http_proxy"
    url = _variable(environment, name)
    if not url or is_loopback(origin.host) or _is_exempt(origin, _variable(environment, "no_proxy")):
        return None
    return _read_proxy(url, name.upper())


def is_ip_literal(host: str) -> bool:
    """Tell whether a host, written without brackets, is an IPv4 or IPv6 address and not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Tell whether a host, written without brackets, is this machine."""
    if is_ip_literal(host):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")


def bracketed(host: str) -> str:
    """Return a host as it stands before `:port`: an IPv6 address in brackets, anything else unchanged."""
    return f"[{host}]" if ":" in host else host


def _split(url: str) -> tuple[SplitResult | None, str, int | None]:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        # Names of other alphabets are looked up and certified in their ASCII form.
        host = host if host.isascii() else host.encode("idna").decode("ascii")
        if host and PRINTABLE.fullmatch(host):
            return parts, host, parts.port
    except ValueError:
        pass
    return None, "", None


def _variable(environment: Mapping[str, str], name: str) -> str:
    return environment.get(name) or environment.get(name.upper()) or ""


def _is_exempt(origin: Origin, rules: str) -> bool:
    named = bracketed(origin.host)
    names = (origin.host, named, f"{named}:{origin.port}")
    for rule in rules.lower().replace(",", " ").split():
        suffix = rule.removeprefix("*").removeprefix(".")
        if rule == "*" or any(name == suffix or name.endswith("." + suffix) for name in names):
            return True
    return False


def _read_proxy(url: str, setting: str) -> Proxy:
    parts, host, port = _split(url if "://" in url else "http://" + url)
    if parts is None or parts.scheme != "http":
        raise ValueError(f"{setting} must look like http://[user:password@]host[:port]; other kinds of proxy are not supported")
    if parts.username is None:
        return Proxy(host, port or DEFAULT_PORTS["http"], None)
    credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return Proxy(host, port or DEFAULT_PORTS["http"], "Basic " + base64.b64encode(credentials).decode("ascii"))
