"""What an administrator may do, as requests and answers in JSON. Knows no socket: a server or the command line carries the bytes.

| request | body | answer |
|---|---|---|
| `POST /keys` | `{label, models?, expires?}` | 201, the key with its `secret`, this once, and the API's `url` if it runs |
| `POST /keys/import` | the same and `secret` | 201, the key |
| `GET /keys` | | 200, `{data: [key, ...]}` |
| `POST /keys/{id or label}/revoke` | | 200, the key |

A key is `{id, label, hint, state, models, created_at, expires_at, account}`, times in UNIX seconds. `expires` is what
`keys.rules.parse_expiry` takes. Errors have the API's shape without a request id. Whoever can reach this is trusted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import unquote

import msgspec

from aisa.clock import WallClock
from aisa.errors import ApiError
from aisa.facts import Fact, KeysChanged
from aisa.keys.port import KeyRing
from aisa.keys.rules import Key, parse_expiry, state_at

#: status and what is to be encoded
Result = tuple[int, object]


class KeyAsked(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked for: `secret` only when a key is imported."""

    label: str
    models: list[str] | None = None
    expires: str | None = None
    secret: str | None = None


class Route(NamedTuple):
    """A request that is answered. `{name}` in the path stands for one part of it, which the function gets, then the body."""

    method: str
    path: str
    run: Callable[[str, bytes], Result]


class Admin:
    """Answers administrators. `report`, if there is one, is told of every change.

    `url` is where the API listens, None while it does not: whoever makes a key is told where to use it.
    """

    def __init__(self, keys: KeyRing, wall_clock: WallClock, report: Callable[[Fact], None] = lambda _fact: None) -> None:
        self._keys = keys
        self._wall_clock = wall_clock
        self._report = report
        self.url: str | None = None

    def routes(self) -> tuple[Route, ...]:
        """Return what is answered."""
        return (
            Route("GET", "/keys", self._list),
            Route("POST", "/keys", self._create),
            Route("POST", "/keys/import", self._import),
            Route("POST", "/keys/{name}/revoke", self._revoke),
        )

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Do what is asked and return the status and a JSON body. `path` is percent-encoded. Raises nothing that a request can cause."""
        try:
            run, name = self._find(method, path)
            status, result = run(name, body)
        except ApiError as error:
            shown = {"type": error.type, "code": error.code, "message": error.message, "param": error.param}
            return error.status, msgspec.json.encode({"error": shown})
        return status, msgspec.json.encode(result)

    def _find(self, method: str, path: str) -> tuple[Callable[[str, bytes], Result], str]:
        parts = path.split("/")
        methods: list[str] = []
        for route in self.routes():
            pattern = route.path.split("/")
            if len(pattern) == len(parts) and all(want in ("{name}", part) for want, part in zip(pattern, parts, strict=True)):
                if route.method == method:
                    return route.run, unquote(parts[pattern.index("{name}")]) if "{name}" in pattern else ""
                methods.append(route.method)
        if methods:
            allow = ", ".join(methods)
            raise ApiError("method_not_allowed", f"{path} takes {allow}, not {method}.", allow=allow)
        listed = ", ".join(f"{route.method} {route.path}" for route in self.routes())
        raise ApiError("unknown_endpoint", f"There is no {path} here. There are: {listed}.")

    def _list(self, _name: str, _body: bytes) -> Result:
        return 200, {"data": [self._shown(key) for key in self._keys.list()]}

    def _create(self, _name: str, body: bytes) -> Result:
        asked = _read(body)
        if asked.secret is not None:
            raise ApiError("invalid_request", "A secret is only taken by /keys/import.", param="secret")
        models, expires_at = self._terms(asked)
        key, secret = self._keys.create(asked.label, models=models, expires_at=expires_at)
        self._report(KeysChanged("created", key.id, key.label))
        return 201, {**self._shown(key), "secret": secret, "url": self.url}

    def _import(self, _name: str, body: bytes) -> Result:
        asked = _read(body)
        if asked.secret is None:
            raise ApiError("missing_parameter", "The secret to import is missing.", param="secret")
        models, expires_at = self._terms(asked)
        key = self._keys.import_key(asked.label, asked.secret, models=models, expires_at=expires_at)
        self._report(KeysChanged("imported", key.id, key.label))
        return 201, self._shown(key)

    def _revoke(self, name: str, _body: bytes) -> Result:
        key = self._keys.revoke(name)
        self._report(KeysChanged("revoked", key.id, key.label))
        return 200, self._shown(key)

    def _terms(self, asked: KeyAsked) -> tuple[tuple[str, ...] | None, int | None]:
        models = None if asked.models is None else tuple(asked.models)
        return models, parse_expiry(asked.expires, self._wall_clock())

    def _shown(self, key: Key) -> dict[str, object]:
        shown: dict[str, object] = msgspec.structs.asdict(key)
        del shown["digest"]
        return {**shown, "state": state_at(key, self._wall_clock())}


def _read(body: bytes) -> KeyAsked:
    try:
        return msgspec.json.decode(body, type=KeyAsked)
    except msgspec.ValidationError as error:
        raise ApiError("invalid_request", f"The body does not fit: {error}.") from None
    except msgspec.DecodeError:
        raise ApiError("json_parse_error", "The body is not a JSON object.") from None
