"""Puts what operators ask, `/admin/v1`, `/console` and `/metrics`, before the API on one address, or alone on an address of its own.

Everything else is the API's, as it is for whoever has no business here: without admin keys there is no such route.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from aisa.edge.addresses import Addresses
from aisa.edge.admin_gate import PREFIX, refuse_admin
from aisa.edge.heads import refused
from aisa.edge.pages import send_whole
from aisa.edge.refusals import Note, Refusals
from aisa.errors import ApiError
from aisa.http.server import App, Reply, Request, Verdict
from aisa.ids import CallIds
from aisa.keys.rules import READ
from aisa.wire.port import HeaderList

METRICS = "/metrics"
CONSOLE = "/console"
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: Returns all metrics as Prometheus reads them.
MetricsText = Callable[[], Awaitable[bytes]]


class OperatorApp:
    """Answers operators, and lets `api` answer everybody else; without that, nobody else.

    `gate` is None where the admin API is elsewhere, `metrics` where metrics are; without a gate they need no key. `addresses` returns what
    says where requests came from, by the configuration of now.
    """

    def __init__(
        self,
        api: App | None,
        gate: AdminAccess | None,
        metrics: Site | None,
        *,
        addresses: Callable[[], Addresses],
        ids: CallIds,
        refusals: Refusals,
    ) -> None:
        self._api = api
        self._gate = gate
        self._metrics = metrics
        self._addresses = addresses
        self._ids = ids
        self._refusals = refusals
        #: The console, None where it is off or elsewhere.
        self.console: ConsoleSite | None = None

    def judge(self, request: Request) -> Verdict:
        """Judge a request by its head. Raises ApiError."""
        path = request.path
        if path.startswith(OWN) and self._is_own(path):
            return self._judge(request)
        if self._api is None:
            raise ApiError("unknown_endpoint", "There is no such route at this address.")
        return self._api.judge(request)

    def refuse(self, error: ApiError, reply: Reply, request: Request | None) -> None:
        """Answer a request that never became one. What is an operator's gets no word of other origins."""
        if self._api is not None and (request is None or not (request.path.startswith(OWN) and self._is_own(request.path))):
            self._api.refuse(error, reply, request)
            return
        request_id = self._ids()
        if request is not None and self.console is not None and is_console(request.path):
            self.console.refuse(error, reply, request_id)
        else:
            refuse_admin(error, reply, request_id)
        self._note(error, request, request_id, peer=reply.address)

    def _note(self, error: ApiError, request: Request | None, request_id: str, *, peer: str = "") -> None:
        """Have the log know of a refusal; `peer` is who sent what is no request."""
        addresses = self._addresses()
        address = addresses.shown(peer if request is None else addresses.of(request))
        self._refusals.note(refused(error, request_id, request, key=None, address=address))

    def _is_own(self, path: str) -> bool:
        if path == METRICS:
            return self._metrics is not None and (self._gate is None or self._gate.is_open)
        if is_console(path):
            return self.console is not None
        return (path == PREFIX or path.startswith(f"{PREFIX}/")) and self._gate is not None and self._gate.is_open

    def _judge(self, request: Request) -> Verdict:
        if request.path.startswith(CONSOLE):
            assert self.console is not None, "the path was looked at"
            return self.console.judge(request, self._addresses().of(request), self._ids(), note=self._note)
        if request.path != METRICS:
            assert self._gate is not None, "the path was looked at"
            return self._gate.judge(request, self._addresses().of(request), self._ids(), note=self._note)
        if request.method not in ("GET", "HEAD"):
            raise ApiError("method_not_allowed", "Metrics are only read: GET.", allow="GET, HEAD")
        assert self._metrics is not None, "the path was looked at"
        return self._metrics.judge(request, self._addresses().of(request), self._ids(), note=self._note)


OWN = (PREFIX, METRICS, CONSOLE)


def is_console(path: str) -> bool:
    """Say whether a path is the console's."""
    return path == CONSOLE or path.startswith(f"{CONSOLE}/")


class Site(Protocol):
    """The console, or the metrics: here or in another process."""

    def judge(self, request: Request, address: str, request_id: str, *, note: Note) -> Verdict:
        """Judge a request by its head. Raises ApiError, of which `note` is not told."""
        ...


class ConsoleSite(Site, Protocol):
    """The console, `console.app.Console`, here or in another process."""

    def refuse(self, error: ApiError, reply: Reply, request_id: str) -> None:
        """Answer a request that was not let in with a page."""
        ...


class AdminAccess(Protocol):
    """Who lets administrators in: `edge.admin_gate.AdminGate`, here or in another process."""

    @property
    def is_open(self) -> bool:
        """Whether there is a key that could be let in."""
        ...

    def judge(self, request: Request, address: str, request_id: str, *, note: Note) -> Verdict:
        """Judge a request by its head. Raises ApiError, of which `note` is not told."""
        ...

    def let_in(self, request: Request, address: str, *, scope: str) -> object:
        """Return who asks, if he may do what needs a scope. Raises ApiError."""
        ...


class MetricsSite:
    """The metrics, for whoever `gate` lets in with the scope read, without a gate for everybody; implements `Site`."""

    def __init__(self, text: MetricsText, gate: AdminAccess | None) -> None:
        self.text = text
        self._gate = gate

    def judge(self, request: Request, address: str, request_id: str, *, note: Note) -> Verdict:
        """Judge a request by its head. Raises ApiError."""
        if self._gate is not None:
            self._gate.let_in(request, address, scope=READ)
        return MetricsVisit(self.text, request, request_id, note)


class MetricsVisit(msgspec.Struct):
    """A request for metrics; see `http.shared.Verdict`."""

    text: MetricsText
    request: Request
    id: str
    note: Note
    body_bytes_max: int | None = 0

    def answer(self, reply: Reply) -> Awaitable[None]:
        """Answer the request."""
        return self._answer(reply)

    async def _answer(self, reply: Reply) -> None:
        try:
            body = await self.text()
        except ApiError as error:
            self.note(error, self.request, self.id)
            refuse_admin(error, reply, self.id)
            return
        headers: HeaderList = [("content-type", METRICS_TYPE), ("x-request-id", self.id), ("cache-control", "no-store")]
        await send_whole(reply, 200, headers, body=body)
