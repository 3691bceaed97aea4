"""How an administrator has the configuration read again: one route. `reload` does it; this waits for it in the administrator's thread.

| request | body | answer |
|---|---|---|
| `POST /reload` | | 200, `{changed: [name, ...], after_restart: [name, ...], variables: [name, ...]}`; 400 if it cannot be used |
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from aisa.edge.admin_route import Answering, Asked, Result, act
from aisa.edge.routes import Route
from aisa.errors import ApiError


class Swapped(msgspec.Struct, omit_defaults=True):
    """What counts from now on, and what only after a restart: dotted paths of settings, or of the sections that they are in.

    `variables` are those of the environment that something was taken from: as they were when the server was started, whatever they are now.
    """

    changed: list[str]
    after_restart: list[str]
    variables: list[str] = []


def reload_route(reload: Callable[[], Swapped] | None) -> Route[Answering]:
    """Return the route. `reload` reads the configuration again and returns what is to be told; None where no server runs."""

    def answer(_asked: Asked) -> Result:
        if reload is None:
            raise ApiError("resource_not_found", "No server runs on this data folder. The next one reads the configuration when it starts.")
        return 200, reload()

    return act("/reload", answer)
