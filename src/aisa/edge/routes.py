"""A table of routes: what may be asked for and how, and what is said of everything else. Calls no handler and knows no socket.

The API and the control socket each have one. Hints, 405, `Allow`, OPTIONS, limits and the OpenAPI document come from the rows, so a route
is added, a second front door as well, by adding a row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, NamedTuple, TypeVar

from aisa.edge.hints import Hints, shown
from aisa.errors import ApiError
from aisa.wire.door import Door

SHOWN_METHOD_CHARACTERS_MAX = 20  # of a method; the longest registered one has 17
IGNORED_BODY_BYTES_MAX = 65_536  # of a request that needs none, as some clients send one with a GET: one read
NUL = "%00"  # in no name of anything here, and no database's question may have it

Handler = TypeVar("Handler")


class Route(NamedTuple, Generic[Handler]):
    """One thing that can be asked for. A GET answers HEAD too.

    One part of `path` may be in braces and stands for any text without a slash; at the end for any text at all. `aliases` are the same
    route by other paths. A body must have the type `media_type`, and is ignored where that is None; it has at most `body_bytes_max` bytes,
    where None is for the server's own limit. `door` is what its calls come through, in whose words refusals are told; where the headers of
    a request say more of it, `heard` returns that. A key may come in one of `key_headers` too.
    """

    method: str
    path: str
    handler: Handler
    summary: str = ""
    needs_key: bool = True
    media_type: str | None = None
    body_bytes_max: int | None = IGNORED_BODY_BYTES_MAX
    aliases: tuple[str, ...] = ()
    door: Door | None = None
    heard: Callable[[Mapping[str, str]], Door] | None = None
    key_headers: tuple[str, ...] = ()


class RouteTable(Generic[Handler]):
    """The routes that there are.

    `everywhere` are methods that whoever has the table answers on every path. `elsewhere` is what to do instead, by what is asked for, see
    `hints.py`. Whoever asks does so below the path `below`, which is cut off before anything is found, and told.
    """

    def __init__(
        self,
        routes: Iterable[Route[Handler]],
        *,
        everywhere: tuple[str, ...] = (),
        elsewhere: Mapping[str, str] | None = None,
        below: str = "",
    ) -> None:
        self.routes = tuple(routes)
        self._below = below
        self._everywhere = everywhere
        self._hints = Hints({path: route.path for route in self.routes for path in (route.path, *route.aliases)}, elsewhere or {}, below)
        #: path -> method -> route; and the same for paths with a part that varies.
        self._exact: dict[str, dict[str, Route[Handler]]] = {}
        self._patterns: dict[str, tuple[re.Pattern[str], dict[str, Route[Handler]]]] = {}
        for route in self.routes:
            for path in (route.path, *route.aliases):
                by_method = self._methods_at(path)
                by_method[route.method] = route
                if route.method == "GET":
                    by_method["HEAD"] = route

    def find(self, method: str, path: str) -> tuple[Route[Handler], str]:
        """Return the route of a request, and what stands in its path for the part that varies.

        Raises ApiError unknown_endpoint as `methods` does, method_not_allowed.
        """
        by_method, name = self._at(path)
        route = by_method.get(method)
        if route is None and not name and (varied := self._varied(path)) is not None and method in varied[0]:
            by_method, name = varied  # a name may be that of another route: of the key called `find`, POST /keys/find is not asked
            route = by_method[method]
        asked = method[:SHOWN_METHOD_CHARACTERS_MAX]
        if route is None and (told := self._hints.of_method(path, below="/" in name)):
            raise ApiError("unknown_endpoint", f"There is no {asked} of {self._below}{shown(path)} here. {told}")
        if route is None:
            taken = " and ".join([route.method for route in dict.fromkeys(by_method.values())])  # HEAD goes without saying
            words = [f"{self._below}{shown(path)} takes {taken}, not {asked}.", *self._hints.of_known(asked, path)]
            raise ApiError("method_not_allowed", " ".join(words), allow=", ".join((*by_method, *self._everywhere)))
        return route, name

    def door(self, method: str, path: str) -> Door | None:
        """Return the door that a path leads to by a method, or by any if it has not this one; None if it leads to none."""
        try:
            by_method, _ = self._at(path)
        except ApiError:
            return None
        route = by_method.get(method) or next(iter(by_method.values()), None)
        return None if route is None else route.door

    def methods(self, path: str) -> tuple[str, ...]:
        """Return the methods of a path, `*` being all of them. Raises ApiError unknown_endpoint, with a hint if there is a good one."""
        found = sorted({route.method for route in self.routes}) if path == "*" else self._at(path)[0]
        return (*found, *self._everywhere)

    def _methods_at(self, path: str) -> dict[str, Route[Handler]]:
        if "{" not in path:
            return self._exact.setdefault(path, {})
        before, _, after = re.sub(r"\{\w+\}", "{}", path).partition("{}")
        name = "[^/]+" if after else ".+"
        pattern = re.compile(f"{re.escape(before)}({name}){re.escape(after)}", re.DOTALL)
        return self._patterns.setdefault(path, (pattern, {}))[1]

    def _at(self, path: str) -> tuple[dict[str, Route[Handler]], str]:
        found = self._exact.get(path)
        if found is not None:
            return found, ""
        varied = self._varied(path)
        if varied is None:
            raise ApiError("unknown_endpoint", self._hints.of_unknown(shown(path)))
        return varied

    def _varied(self, path: str) -> tuple[dict[str, Route[Handler]], str] | None:
        """Return the routes of a path with a part that varies, and that part; None if there are none."""
        for pattern, by_method in self._patterns.values():
            match = pattern.fullmatch(path)
            if match is not None:
                if NUL in path:
                    raise ApiError("resource_not_found", "The path has a NUL in it, which no name here has.")
                return by_method, match[1]
        return None
