"""From one HTTP request to the right answer, always with a request id and always JSON when it fails. The table of routes is here."""

from __future__ import annotations

import asyncio
import difflib
import traceback
from collections.abc import Iterable
from typing import Protocol

import msgspec

from aisa.call import Call
from aisa.clock import WallClock
from aisa.edge.account import BALANCE, RECEIPT, USAGE, Accounts
from aisa.edge.cors import CrossOrigin
from aisa.edge.idempotency import HEADER, Once, relay_once
from aisa.edge.models import model_list, one_model
from aisa.edge.pages import Pages
from aisa.errors import ApiError
from aisa.facts import BugFound, Refused
from aisa.http.server import Reply, Request
from aisa.ids import CallIds
from aisa.keys.rules import Key
from aisa.relay import relay
from aisa.run import Gate
from aisa.wire.port import HeaderList
from aisa.wire.reply import JSON_TYPE, send_error

CHAT = "/v1/chat/completions"
MODELS = "/v1/models"
MODEL = "/v1/models/"  # followed by a name, which may itself hold slashes
#: path -> methods, for 404 hints, 405 and `Allow`.
ROUTES: dict[str, tuple[str, ...]] = {
    CHAT: ("POST",),
    MODELS: ("GET", "HEAD"),
    MODEL: ("GET", "HEAD"),
    "/health/live": ("GET", "HEAD"),
    "/health/ready": ("GET", "HEAD"),
    "/openapi.json": ("GET", "HEAD"),
    "/": ("GET", "HEAD"),
}
#: As ROUTES, where there are bills to look at.
ACCOUNT_ROUTES = {USAGE: ("GET", "HEAD"), RECEIPT: ("GET", "HEAD"), BALANCE: ("GET", "HEAD")}
CLIENT_ID_CHARACTERS_MAX = 128


class Readiness(Protocol):
    """Whether this server wants new calls."""

    def __call__(self) -> str | None:
        """Return None when ready, else why not, in words fit for anyone."""
        ...


class Edge:
    """Answers every request that a client connection brings.

    Without `once`, an Idempotency-Key means nothing; until `accounts` is set, there are no routes on bills.
    """

    def __init__(
        self,
        gate: Gate,
        ids: CallIds,
        wall_clock: WallClock,
        *,
        cross_origin: CrossOrigin,
        pages: Pages,
        not_ready: Readiness,
        once: Once | None = None,
    ) -> None:
        self.accounts: Accounts | None = None
        self._gate = gate
        self._ids = ids
        self._wall_clock = wall_clock
        self._cross_origin = cross_origin
        self._pages = pages
        self._not_ready = not_ready
        self._once = once
        self._created = int(wall_clock())

    async def __call__(self, request: Request, reply: Reply) -> None:
        """Answer one request."""
        request_id = self._ids()
        headers: HeaderList = [("x-request-id", request_id)]
        if "origin" in request.headers:
            headers += self._cross_origin.headers(request)
        try:
            if request.path == CHAT and request.method == "POST":
                call = self._call(request, request_id, headers)
                if self._once is not None and HEADER in request.headers:
                    await relay_once(call, request.headers[HEADER], reply, gate=self._gate, once=self._once)
                else:
                    await relay(call, reply, self._gate)
            else:
                await self._answer(request, reply, headers)
        except ApiError as error:
            send_error(reply, error, request_id, headers=headers)
            self._gate.report(Refused(request_id, error.status, error.code, request.method, request.path, client_id(request)))
        except asyncio.CancelledError:
            if not reply.gone:  # a client that left before its call was admitted needs no answer and left nothing open
                raise
        except Exception:
            # The outermost frame of a request, and the one place where an unforeseen exception may stop: nobody else can answer.
            self._gate.report(BugFound(request_id, traceback.format_exc()))
            if reply.ended:
                return
            ours = ApiError("internal_error", "An error of ours. Please report it with the request_id.")
            send_error(reply, ours, request_id, headers=headers)

    def refuse(self, error: ApiError, reply: Reply) -> None:
        """Answer a request that never was one: bad framing, too large, too slow."""
        request_id = self._ids()
        send_error(reply, error, request_id, headers=[("x-request-id", request_id)])
        self._gate.report(Refused(request_id, error.status, error.code, "-", "-"))

    def _call(self, request: Request, request_id: str, headers: HeaderList) -> Call:
        """Return the call that a request makes. Raises ApiError unsupported_media_type, but only to those who have a key."""
        sent = request.headers
        fault = media_fault(sent.get("content-type", JSON_TYPE), sent.get("content-encoding", "identity"))
        if fault is not None:
            self._key(request)
            raise fault
        return Call(
            id=request_id,
            bearer=bearer(sent.get("authorization")),
            body=request.body,
            created=int(self._wall_clock()),
            began=self._gate.watch.loop.time(),
            headers=headers,
            client_request_id=client_id(request),
        )

    async def _answer(self, request: Request, reply: Reply, headers: HeaderList) -> None:
        path = request.path
        route = next((named for named in (MODEL, RECEIPT) if path.startswith(named) and len(path) > len(named)), path)
        routes = ROUTES if self.accounts is None else ROUTES | ACCOUNT_ROUTES
        methods = routes.get(route)
        if methods is None:
            raise unknown_endpoint(path, routes)
        if request.method == "OPTIONS":
            reply.start(204, headers + self._cross_origin.preflight(request, methods), None)
            reply.end()
        elif request.method not in methods:
            allowed = ", ".join((*methods, "OPTIONS"))
            raise ApiError("method_not_allowed", f"{path} takes {methods[0]}, not {request.method[:20]}.", allow=allowed)
        else:
            status, content_type, body = await self._document(request, route)
            reply.start(status, [("content-type", content_type), *headers], len(body))
            reply.write(body)
            reply.end()

    async def _document(self, request: Request, route: str) -> tuple[int, str, bytes]:
        """Return (status, content type, body) of a route that is not a call."""
        if self.accounts is not None and route in ACCOUNT_ROUTES:
            return 200, JSON_TYPE, await self.accounts.document(request.path, request.query, self._key(request))
        if route == MODELS:
            return 200, JSON_TYPE, model_list(self._gate.routes, self._key(request), self._created, now=self._wall_clock())
        if route == MODEL:
            name, now = request.path.removeprefix(MODEL), self._wall_clock()
            return 200, JSON_TYPE, one_model(self._gate.routes, self._key(request), name, created=self._created, now=now)
        if route == "/health/live":
            return 200, JSON_TYPE, b'{"status":"live"}'
        if route == "/health/ready":
            why_not = self._not_ready()
            return (503 if why_not else 200), JSON_TYPE, msgspec.json.encode({"status": why_not or "ready"})
        return self._pages.page(route)

    def _key(self, request: Request) -> Key:
        return self._gate.keys.verify(bearer(request.headers.get("authorization")))


def bearer(authorization: str | None) -> str | None:
    """Return the secret of an `Authorization: Bearer` header, None if there is none; the scheme's case does not matter."""
    if authorization is None:
        return None
    scheme, _, secret = authorization.partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else None


def client_id(request: Request) -> str | None:
    """Return the caller's own id for the request: 1 to 128 printable ASCII characters, else None."""
    given = request.headers.get("x-client-request-id") or request.headers.get("x-request-id")
    fits = given and len(given) <= CLIENT_ID_CHARACTERS_MAX and given.isascii() and given.isprintable()
    return given if fits else None


def media_fault(content_type: str, encoding: str) -> ApiError | None:
    """Return the error for a body that is not plain JSON, None if it may be."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind != JSON_TYPE and not (kind.startswith("application/") and kind.endswith("+json")):
        return ApiError("unsupported_media_type", f"The body's Content-Type is '{kind[:100]}'; send 'Content-Type: application/json'.")
    if encoding.strip().lower() not in ("identity", ""):
        return ApiError("unsupported_media_type", f"The body is compressed ('{encoding[:100]}'); send it without Content-Encoding.")
    return None


def unknown_endpoint(path: str, routes: Iterable[str]) -> ApiError:
    """Return the error for a path that is no route, naming the nearest one."""
    near = difflib.get_close_matches(path, list(routes), 1, cutoff=0.5) or [CHAT]
    shown = path if len(path) <= CLIENT_ID_CHARACTERS_MAX else path[:CLIENT_ID_CHARACTERS_MAX] + "…"
    return ApiError("unknown_endpoint", f"There is no {shown} here. Did you mean {near[0]}?")
