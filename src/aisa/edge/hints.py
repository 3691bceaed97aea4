"""What is said of a path that no route is at: which route was meant, or what to do instead. Decides no route and refuses nothing."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from aisa.redaction import without_secrets

SHOWN_CHARACTERS_MAX = 128  # of an unknown path: what is compared, told and logged of it; no route of anybody's is longer
BEYOND_SHOWN_MAX = 4  # of the routes that a path is the beginning of
LIKENESS_MIN = 0.8  # of an unknown path to a route that it is compared with; below it a hint misleads more often than it helps


class Hints:
    """What a table of routes says of everything else.

    `known` maps each path of a route to the one by which the route is called. `elsewhere` maps the beginning of a path that others have and
    we do not to a sentence on what to do instead; or a method that others have for a path of ours, a blank and the path. All of them are
    told as they are asked for, below `below`.
    """

    def __init__(self, known: Mapping[str, str], elsewhere: Mapping[str, str], below: str = "") -> None:
        self._known = known
        self._routes = list(dict.fromkeys(known.values()))
        self._elsewhere = elsewhere
        self._below = below

    def of_method(self, path: str, *, below: bool) -> str | None:
        """Return what to do instead of asking for a path by a method that its route has not.

        None where `below` is false and nobody has that very path: then a route's name was asked for, whatever it is.
        """
        return self._told(path) if below or path in self._elsewhere else None

    def of_known(self, method: str, path: str) -> list[str]:
        """Return what is to be said besides of such a method: nothing, or one sentence."""
        sentence = self._elsewhere.get(f"{method} {self._known.get(path, path)}")
        return [sentence] if sentence else []

    def of_unknown(self, path: str) -> str:
        """Return all that is said of a path."""
        words = f"There is no {self._below}{path} here."
        meant = self._ends_with(path, parts_min=2)
        told = None if meant else self._told(path)
        if told is not None:
            return f"{words} {told}"
        near = meant or self._near(path)
        return f"{words} Did you mean {self._below}{near}?" if near else f"{words}{self._beginning(path)}"

    def _beginning(self, path: str) -> str:
        """Return what is said of the beginning of several routes' paths, or of a path that ends with it; nothing of other paths."""
        whole = path.rstrip("/")
        for base in (whole, f"/{whole.rpartition('/')[2]}"):
            beyond = [f"{self._below}{route}" for route in self._routes if base > "/" and route.startswith(f"{base}/")]
            if beyond:
                meant = "It" if base == whole else f"Did you mean {self._below}{base}? It"
                more = f" and {len(beyond) - BEYOND_SHOWN_MAX} more" if len(beyond) > BEYOND_SHOWN_MAX else ""
                return f" {meant} is a base URL, to which clients add the rest: {', '.join(beyond[:BEYOND_SHOWN_MAX])}{more}."
        return ""

    def _told(self, path: str) -> str | None:
        """Return what to do instead of asking for a path that others have."""
        return next((sentence for beginning, sentence in self._elsewhere.items() if begins(path, beginning)), None)

    def _ends_with(self, path: str, *, parts_min: int) -> str | None:
        """Return the route that a path ends with, behind a base URL with a part too many or before a slash too many.

        What has fewer parts than two may be anybody's, such as usage by `completions`.
        """
        bare = path.rstrip("/")
        for known, route in self._known.items():
            if len(known) > 1 and bare.endswith(known) and (bare == known or known.count("/") >= parts_min):
                return route
        return None

    def _near(self, path: str) -> str | None:
        """Return the route that a path ends with, the only one that it is the beginning of, or the one that is most like it."""
        behind = self._ends_with(path, parts_min=1)
        if behind is not None:
            return behind
        beyond = [route for route in self._routes if path.count("/") > 1 and route.startswith(f"{path.rstrip('/')}/")]
        if len(beyond) == 1:
            return beyond[0]
        near = difflib.get_close_matches(path, self._routes, 1, cutoff=LIKENESS_MIN)
        return near[0] if near else None


def begins(path: str, beginning: str) -> bool:
    """Say whether a path is `beginning` or something below it, with or without `/v1`."""
    beginning = beginning.rstrip("/")
    return any(f"{path}/".startswith((f"{at}/", f"{at}:")) for at in (beginning, beginning.removeprefix("/v1")) if at)


def shown(path: str) -> str:
    """Return a path, or a model's name, as it may be told, logged and kept."""
    return without_secrets(path if len(path) <= SHOWN_CHARACTERS_MAX else path[:SHOWN_CHARACTERS_MAX] + "…")
