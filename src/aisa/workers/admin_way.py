"""The admin API and the console of a server of several processes: a worker that is asked hands the request to the office, which answers."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import cast

import msgspec

from aisa.console.app import Console, ConsoleVisit, Shown, refuse_browser
from aisa.edge.admin_gate import AdminGate, refuse_admin, send_admin
from aisa.edge.admin_route import ADMIN_BODY_BYTES_MAX
from aisa.edge.operator_app import MetricsSite, MetricsVisit
from aisa.edge.refusals import Note
from aisa.errors import ApiError
from aisa.http.server import Reply, Request
from aisa.storage.shared_memory import SharedMemory
from aisa.workers.link import Link
from aisa.workers.messages import ADMIN, CONSOLE, METRICS

ADMIN_KEYS = 7  # the word of shared memory, one of the office's own, that has how many admin keys there are
TOLD_CONSOLE = ("host", "cookie", "origin", "sec-fetch-site", "referer", "x-forwarded-proto", "hx-request", "x-fragment")
TOLD = ("host", "authorization", "content-type", "content-encoding", "content-length")  # headers that the gate looks at
ANSWER_SECONDS_MAX = 30.0  # an audit of a large ledger takes as long


class AdminAsked(msgspec.Struct, frozen=True):
    """A request as it travels, with what a gate looks at of one."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    address: str
    id: str


class AdminAnswered(msgspec.Struct, frozen=True):
    """What the gate answers."""

    status: int
    body: bytes


class OfficeGate:
    """A worker's way to the gate; implements `edge.operator_app.AdminAccess`."""

    def __init__(self, link: Link, memory: SharedMemory) -> None:
        self._link = link
        self._memory = memory

    @property
    def is_open(self) -> bool:
        """Whether there is a key that could be let in."""
        return bool(self._memory.words[ADMIN_KEYS])

    def judge(self, request: Request, address: str, request_id: str, *, note: Note) -> HandedOn:
        """Take a request, which the office judges."""
        return HandedOn(self._link, request, address, request_id, note)

    def let_in(self, request: Request, address: str, *, scope: str) -> object:
        """Nobody is let in here."""
        raise ApiError("unknown_endpoint", "There is no such route at this address.")


class HandedOn(msgspec.Struct):
    """A request that the office answers; see `http.shared.Verdict`."""

    link: Link
    request: Request
    address: str
    id: str
    note: Note
    body_bytes_max: int | None = ADMIN_BODY_BYTES_MAX

    def answer(self, reply: Reply) -> Awaitable[None]:
        """Answer the request."""
        return self._answer(reply)

    async def _answer(self, reply: Reply) -> None:
        request = self.request
        headers = told(request, TOLD)
        asked = AdminAsked(request.method, request.path, request.query, headers, bytes(request.body), self.address, self.id)
        try:
            answer = await self.link.ask(ADMIN, msgspec.msgpack.encode(asked), ANSWER_SECONDS_MAX)
        except ApiError as error:
            self.note(error, request, self.id)
            refuse_admin(error, reply, self.id)
            return
        answered = msgspec.msgpack.decode(answer, type=AdminAnswered)
        await send_admin(reply, answered.status, self.id, body=answered.body)


class OfficeMetrics:
    """A worker's way to the metrics of all; implements `edge.operator_app.Site`."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def judge(self, request: Request, address: str, request_id: str, *, note: Note) -> MetricsVisit:
        """Take a request, which the office judges."""
        asked = AdminAsked(request.method, request.path, request.query, told(request, TOLD), b"", address, request_id)
        return MetricsVisit(lambda: self._link.ask(METRICS, msgspec.msgpack.encode(asked)), request, request_id, note)


class OfficeConsole:
    """A worker's way to the console; implements `edge.operator_app.Site` and `console.app.Pages`."""

    def __init__(self, link: Link) -> None:
        self.watchers = 0
        self._link = link

    def judge(self, request: Request, address: str, request_id: str, *, note: Note) -> ConsoleVisit:
        """Take a request, which the office judges."""
        return ConsoleVisit(self, request, address, request_id, note)

    def refuse(self, error: ApiError, reply: Reply, request_id: str) -> None:
        """Answer a request that was not let in."""
        refuse_browser(error, reply, request_id)

    async def shown(self, request: Request, address: str, request_id: str) -> Shown:
        """Have the office answer. Raises ApiError."""
        headers = told(request, TOLD_CONSOLE)
        asked = AdminAsked(request.method, request.path, request.query, headers, bytes(request.body), address, request_id)
        answer = await self._link.ask(CONSOLE, msgspec.msgpack.encode(asked), ANSWER_SECONDS_MAX)
        return msgspec.msgpack.decode(answer, type=Shown)


def told(request: Request, names: Iterable[str]) -> dict[str, str]:
    """Return those of a request's headers that the office looks at."""
    return {name: value for name in names if (value := request.headers.get(name)) is not None}


def untold(_error: ApiError, _request: Request | None, _id: str) -> None:
    """Tell nobody of a refusal: the worker tells what it has refused."""


async def metrics_by(site: MetricsSite, body: bytes) -> bytes:
    """Answer what a worker was asked for the metrics, in the office. Raises ApiError."""
    asked = msgspec.msgpack.decode(body, type=AdminAsked)
    site.judge(cast("Request", asked), asked.address, asked.id, note=untold)
    return await site.text()


async def page_by(console: Console | None, body: bytes) -> bytes:
    """Answer what a worker was asked for the console, in the office. Raises ApiError."""
    asked = msgspec.msgpack.decode(body, type=AdminAsked)
    if console is None:
        raise ApiError("unknown_endpoint", "There is no such route at this address.")
    request = Request(asked.method, asked.path, asked.query, asked.headers, asked.body, "1.1", address=asked.address)
    console.judge(request, asked.address, asked.id, note=untold)  # the name that it was asked by
    return msgspec.msgpack.encode(await console.shown(request, asked.address, asked.id))


async def answered_by(gate: AdminGate, body: bytes) -> bytes:
    """Answer what a worker was asked, in the office. Raises ApiError."""
    asked = msgspec.msgpack.decode(body, type=AdminAsked)
    if not gate.is_open:
        raise ApiError("unknown_endpoint", "There is no such route at this address.")
    visit = gate.judge(cast("Request", asked), asked.address, asked.id)
    status, shown = await gate.answer(visit)
    return msgspec.msgpack.encode(AdminAnswered(status, shown))
