"""Where requests of a vendor go: its base URL, and the proxy on the way there, if any. Pure: resolves no name, reads no environment."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}
RULE_WITH_PORT = re.compile(r"(\[[^\]]*\]|[^:]*):(\d{1,5})")  # of NO_PROXY
NETWORK_WITH_STAR = re.compile(r"\d{1,3}(\.\d{1,3}){0,2}\.\*")
PRINTABLE = re.compile("[!-~]*")  # what may stand in a request line: no space and no line break, or a path could add headers


class Origin(NamedTuple):
    """A vendor's base URL taken apart. `authority` is what the Host header says; `prefix` is `""` or starts with `/`."""

    secure: bool
    host: str
    port: int
    authority: str
    prefix: str

    @property
    def last(self) -> bytes:
        """The last part of the prefix with its slash, nothing where there is none."""
        return f"/{self.prefix.rpartition('/')[2]}".encode("ascii") if self.prefix else b""


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

    The environment is read as curl does: HTTPS_PROXY or HTTP_PROXY, then ALL_PROXY, each in lower case first, then in upper case.
    Raises ValueError, which does not repeat the URL, for a proxy URL that is not `http://[user:password@]host[:port]`.
    """
    if explicit:
        return _read_proxy(explicit, "the proxy setting")
    names = ("https_proxy" if origin.secure else "http_proxy", "all_proxy")
    name, url = next(((name, url) for name in names if (url := _variable(environment, name))), ("", ""))
    if not url or is_loopback(origin.host) or is_exempt(origin, _variable(environment, "no_proxy")):
        return None
    return _read_proxy(url, name.upper())


def is_exempt(origin: Origin, rules: str) -> bool:
    """Tell whether NO_PROXY takes an origin out: by name, address or network, each perhaps with a port, separated by commas or blanks.

    As curl and Go do; `docs/reaching-vendors.md` says whom we follow where they differ.
    """
    host = origin.host.rstrip(".").lower()
    address = ipaddress.ip_address(host) if is_ip_literal(host) else None
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    for rule in rules.lower().replace(",", " ").split():
        with_port = RULE_WITH_PORT.fullmatch(rule)
        name = with_port[1] if with_port else rule
        if with_port and int(with_port[2]) != origin.port:
            continue
        if rule == "*" or (_within(address, name) if address else _below(host, name)):
            return True
    return False


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


def _below(host: str, name: str) -> bool:
    """Tell whether a host is a name or a name below it; blanks, a `*.` or a dot at its ends say nothing."""
    name = name.removeprefix("*").strip(".")
    try:
        name = name if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError:
        return False
    return name != "" and (host == name or host.endswith("." + name))


def _within(address: ipaddress.IPv4Address | ipaddress.IPv6Address, name: str) -> bool:
    """Tell whether an address is one, or in a network: `10.0.0.0/8`, `[fd00::]/8`, or `10.*` as Java and Windows write it."""
    stars = NETWORK_WITH_STAR.fullmatch(name)
    if stars:
        octets = stars[0].removesuffix(".*").split(".")
        name = ".".join([*octets, *["0"] * (4 - len(octets))]) + f"/{8 * len(octets)}"
    try:
        return address in ipaddress.ip_network(name.replace("[", "").replace("]", ""), strict=False)
    except ValueError:
        return False


def _read_proxy(url: str, setting: str) -> Proxy:
    parts, host, port = _split(url if "://" in url else "http://" + url)
    if parts is None or parts.scheme != "http":
        raise ValueError(f"{setting} must look like http://[user:password@]host[:port]; other kinds of proxy are not supported")
    if parts.username is None:
        return Proxy(host, port or DEFAULT_PORTS["http"], None)
    credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return Proxy(host, port or DEFAULT_PORTS["http"], "Basic " + base64.b64encode(credentials).decode("ascii"))
