"""The control socket's side of the edge: hands each request on the data folder's unix socket to the administration.

What is asked for may wait for the disk, so a thread does it while the calls of the API go on: one, so that nothing changes under its hands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from concurrent.futures import ThreadPoolExecutor

import msgspec

from aisa.edge.admin import CONTROL_ID, OPERATOR, Actor, Admin, Answer, advance
from aisa.edge.pages import send_whole
from aisa.errors import ApiError
from aisa.http.server import Reply, Request
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.door import refuse
from aisa.wire.reply import JSON_TYPE, whole_line

REQUESTS_MAX = 100  # that are answered or wait for their turn: more than one operator and a few scripts make
LONG_REQUESTS_MAX = 2  # of several steps that are under way: each keeps a connection for reading, of which others need some


class Control:
    """Serves the command line. Who can open the socket (mode 0600 in a folder of mode 0700) is the operator."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self._thread = ThreadPoolExecutor(1, "admin")
        self._long = asyncio.Semaphore(LONG_REQUESTS_MAX)
        self._requests = 0

    def judge(self, request: Request) -> Errand:
        """Judge a request by its head: whether there is such a route. Raises ApiError unknown_endpoint, method_not_allowed."""
        route, _ = self._admin.routes.find(request.method, request.path)
        return Errand(self, request, route.body_bytes_max)

    async def answer(self, request: Request, reply: Reply) -> None:
        """Answer one request of the command line."""
        if self._requests >= REQUESTS_MAX:
            self.refuse(ApiError("overloaded", f"There are {REQUESTS_MAX} requests on this socket. Try again soon."), reply, request)
            return
        self._requests += 1
        try:
            path = f"{request.path}?{request.query}" if request.query else request.path
            status, body = await self._answer(request.method, path, request.body)
        except ApiError as error:
            self.refuse(error, reply, request)
            return
        finally:
            self._requests -= 1
        await send_whole(reply, status, [("content-type", JSON_TYPE)], body=whole_line(body))

    async def ask(self, method: str, path: str, body: bytes, *, actor: Actor) -> Answer:
        """Do what an administrator asks who was let in elsewhere. Raises ApiError: overloaded, or what cannot be done."""
        if self._requests >= REQUESTS_MAX:
            raise ApiError("overloaded", f"There are {REQUESTS_MAX} requests of administrators. Try again soon.")
        self._requests += 1
        try:
            return await self._answer(method, path, body, actor=actor)
        finally:
            self._requests -= 1

    async def _answer(self, method: str, path: str, body: bytes, *, actor: Actor = OPERATOR) -> Answer:
        """Do what is asked, a step of the thread at a time, so that a long request keeps nobody else waiting and can be given up."""
        steps = self._admin.steps(method, path, body, actor=actor)
        answer = await self._step(steps)
        if answer is None:
            async with self._long:
                while answer is None:
                    answer = await self._step(steps)
        return answer

    async def _step(self, steps: Generator[None, None, Answer]) -> Answer | None:
        """Do one step in the thread. It cannot be stopped; if nobody waits for it any more, what it did is still reported."""
        step = asyncio.get_running_loop().run_in_executor(self._thread, advance, steps)
        step.add_done_callback(lambda _step: self._admin.tell())
        return await asyncio.shield(step)

    def refuse(self, error: ApiError, reply: Reply, request: Request | None) -> None:
        """Answer what is not a request, or not one of ours."""
        refuse(reply, error, CONTROL_ID, headers=[], door=CHAT_DOOR)


class Errand(msgspec.Struct):
    """A request whose route is there; see `http.shared.Verdict`."""

    control: Control
    request: Request
    body_bytes_max: int | None

    def answer(self, reply: Reply) -> Awaitable[None]:
        """Answer the request."""
        return self.control.answer(self.request, reply)
