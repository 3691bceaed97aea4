"""All vendors that are known by name, and which of them a vendor of the configuration is. The one place for what is true of a vendor."""

from __future__ import annotations

from types import MappingProxyType

from aisa.vendors.hosts import HOSTS
from aisa.vendors.labs import LABS
from aisa.vendors.row import Row
from aisa.vendors.servers import SERVERS

#: By name. A further vendor is a further row in `labs.py`, `hosts.py` or `servers.py`.
ROWS = MappingProxyType({row.name: row for row in (*LABS, *HOSTS, *SERVERS)})

#: The names under which the price catalogue lists vendors, so that one of that name on this machine may be a proxy to it.
IN_CATALOGUE = frozenset([row.catalogue for row in ROWS.values() if row.catalogue])


def row_of(name: str, base_url: str, preset: str | None = None) -> Row | None:
    """Return the row of a vendor of the configuration: the one that its entry names, else by its host, else by a word in name or host.

    Its name alone says nothing: whoever calls a vendor `openai` at an address of his own may mean anything that speaks like it.
    """
    if preset is not None:
        return ROWS.get(preset)
    host = base_url.partition("://")[2].partition("/")[0].partition(":")[0].lower().rstrip(".")
    words = f"{name} {host}".casefold()
    at_home = next((row for row in ROWS.values() if row.is_at(host)), None)
    return at_home or next((row for row in ROWS.values() if row.word and row.word in words), None)
