"""The settings on stores that several servers share, and what a store's URL says. Connects to nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from aisa.config.section import Section

DATABASE_SCHEMES = ("postgresql://", "postgres://")
DEFAULT_PORT = 6379
TLS_SCHEMES = ("rediss", "valkeys")
SCHEMES = ("redis", "valkey", "unix", *TLS_SCHEMES)


class StoreSettings(Section, frozen=True, kw_only=True):
    """Where several servers keep together what each keeps alone otherwise."""

    database: str | None = None
    limits: str | None = None
    limits_down: Literal["local", "refuse"] = "local"


STORES_IN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "stores.database": "Where keys, accounts, wallets and ledger are kept for several servers together: a PostgreSQL database, "
        "`postgresql://user:password@host/name`. Needs the extra `stores`. If absent, each server has a database in its data folder.",
        "stores.limits": "Where limits are kept for several servers together: Valkey or Redis, `redis://user:password@host:6379/0`, "
        "`rediss://` for TLS, `unix:///path?db=0`; or PostgreSQL, `postgresql://user:password@host/name`, which may be the database above. "
        "Needs the extra `stores`. If absent, each server has limits of its own.",
        "stores.limits_down": "What counts while that store does not answer: each process allows its share, the limit divided by how many "
        "there were (`local`), or calls of keys with limits are answered `503 overloaded` (`refuse`).",
    }
)


#: What URLs of PostgreSQL say to libpq, that the driver of limits does not know and would ask of the server as settings. These bound
#: waits and name things, which we do ourselves.
OF_LIBPQ = frozenset(
    {
        *("connect_timeout", "fallback_application_name", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count"),
        *("tcp_user_timeout", "load_balance_hosts", "sslcompression", "sslsni", "gssdelegation"),
    }
)
#: These say what must be proven, which must not be left out in silence; each with what asks for nothing.
PROOFS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"channel_binding": ("prefer", "disable"), "gssencmode": ("prefer", "disable"), "sslcertmode": ("allow", "disable")}
    | dict.fromkeys(("require_auth", "requirepeer", "sslcrldir"), ())
)


def limits_database(url: str) -> str:
    """Return the URL of a PostgreSQL for limits as its driver takes it. Raises ValueError, without the URL, for what that cannot keep."""
    beginning, mark, query = url.partition("?")
    kept: list[str] = []
    for part in query.split("&") if mark else ():
        name, _, value = part.partition("=")
        if name in PROOFS and value not in PROOFS[name]:
            raise ValueError(f"`{name}` cannot be kept by the driver of limits; leave it out, `sslmode=verify-full` proves the server")
        if name not in OF_LIBPQ and name not in PROOFS:
            kept.append(part)
    return beginning + "?" * bool(kept) + "&".join(kept)


class Address(NamedTuple):
    """Where a Valkey or Redis is, and who we are there. `path` is that of a Unix socket."""

    host: str
    port: int
    path: str | None
    tls: bool
    user: str | None
    password: str | None
    database: int


def address_of(url: str) -> Address:
    """Return what the URL of a Valkey or Redis says. Raises ValueError, which does not repeat it: it may hold a password."""
    parts = urlsplit(url)
    if parts.scheme not in SCHEMES:
        raise ValueError(f"it begins with none of {', '.join((*(f'{scheme}://' for scheme in SCHEMES), *DATABASE_SCHEMES))}")
    path = parts.path if parts.scheme == "unix" else None
    if not (path or parts.hostname):
        raise ValueError("it names no host" if path is None else "it names no socket")
    if not path and (parts.query or parts.fragment):
        raise ValueError("what follows `?` or `#` is not known; the number of a database follows the host, TLS is `rediss://`")
    database = parts.query.removeprefix("db=") if path else parts.path.strip("/")
    if database and not (database.isascii() and database.isdigit() and len(database) < 6):
        raise ValueError("what follows the host is no number of a database")
    try:
        port = parts.port or DEFAULT_PORT
    except ValueError:
        raise ValueError("its port is no number") from None
    user, password = (None if text is None else unquote(text) for text in (parts.username, parts.password))
    tls = parts.scheme in TLS_SCHEMES
    return Address(parts.hostname or "", port, path, tls, user or None, password, int(database or 0))
