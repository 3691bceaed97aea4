"""The settings on the administration over the network and on metrics. Opens nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aisa.config.section import Section


class AdminSettings(Section, frozen=True, kw_only=True):
    """The admin API, `/admin/v1`. It is off until `aisa admin-keys create` has made a key for it."""

    hosts: tuple[str, ...] = ()
    listen: str | None = None


class MetricsSettings(Section, frozen=True, kw_only=True):
    """Prometheus' `/metrics`. At the API's address it needs an admin key; at an address of its own nothing."""

    listen: str | None = None


ADMIN_IN_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "console": "Whether the console is there, pages for administrators at `/console`: at the address of the admin API, by its names.",
        "admin.hosts": "Names under which the admin API may be asked, such as `aisa.example.com`, compared with the request's `Host`. If "
        "absent: this machine's own (`localhost`, loopback addresses), `server.host`, and addresses where every interface is listened on.",
        "admin.listen": "Address and port at which the admin API is instead of the API's, such as `127.0.0.1:8001`.",
        "metrics.listen": "Address and port at which `/metrics` is as well, without a key, such as `127.0.0.1:9000`: for a network "
        "that only the monitoring reaches.",
    }
)
PORT_MAX = 65_535


def listening(text: str) -> tuple[str, int]:
    """Return the host and the port of `127.0.0.1:9000` or `[::1]:9000`. Raises ValueError."""
    host, _, port = text.rpartition(":")
    if not host or (":" in host) != host.startswith("[") or not (port.isascii() and port.isdigit()) or int(port[:6]) > PORT_MAX:
        raise ValueError("it is no address and port")
    return host.strip("[]"), int(port)
