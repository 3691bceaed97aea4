"""Bodies of requests are let go when their calls have ended, without a look for garbage, which comes seldom."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, cast

import pytest

from aisa.errors import ApiError
from aisa.http.connection import Connection
from aisa.http.request import Request, RequestReader
from aisa.http.server import HttpServer, tls_context
from http_server_rig import Run, both_loops, echo, pem, post, serving, trusting

__all__ = ["pem"]

MARK = "kept by mistake "
BODY = (MARK * 20_000).encode()  # 320 kB: more than one read brings


@pytest.fixture(autouse=True)
def no_look_for_garbage() -> Generator[None]:
    """Take away what would hide it."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def bodies() -> int:
    """Return how many requests of this process have such a body."""
    return sum(isinstance(each, Request) and each.body.startswith(MARK.encode()) for each in gc.get_objects())


async def until(holds: Callable[[], bool]) -> None:
    """Wait until the server has come so far."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - the server does not tell
            await asyncio.sleep(0.001)


@both_loops
def test_a_body_is_let_go_when_its_call_has_ended(run: Run) -> None:
    """It was kept until the connection's next request, and by one that was closed until garbage was looked for: 30 MB a call."""

    async def scenario() -> None:
        async with serving(echo) as served:
            for _ in range(3):
                client = await served.connect()
                for _ in range(3):  # the second shows that heads repeat, by which the third is known
                    answer = await client.ask(post(BODY))
                    assert len(answer.json["body"]) == len(BODY)
                served.app.requests.clear()
                await until(lambda: served.server.calls_count == 0)
                assert bodies() == 0, "the connection is open"
                client.close()
            await until(lambda: served.server.connections_count == 0)
            assert bodies() == 0, "it is closed"

    run(scenario())


@both_loops
def test_what_came_of_a_body_is_let_go_when_its_client_leaves(run: Run) -> None:
    """The budget of unfinished bodies had it back, and the memory had not."""

    async def scenario() -> None:
        async with serving(echo) as served:
            client = await served.connect()
            client.send(post(BODY)[: -len(MARK)])
            await until(lambda: served.server.connections_count == 1)
            reader = reader_of(served.server)
            await until(lambda: reader.held_bytes > len(BODY) // 2)
            client.close()
            await until(lambda: served.server.connections_count == 0)
            assert reader.held_bytes == 0

    run(scenario())


def without_a_key(_request: Request) -> int | None:
    """Refuse a request by its head."""
    raise ApiError("missing_api_key", "no key")


@both_loops
@pytest.mark.parametrize("judging", [None, without_a_key], ids=["answered", "refused"])
@pytest.mark.parametrize("sent", [len(post(BODY)), 300, 20], ids=["whole", "half a body", "half a head"])
@pytest.mark.parametrize("secured", [False, True], ids=["plain", "tls"])
def test_a_connection_that_is_gone_is_let_go(run: Run, pem: Path, judging: Any, *, secured: bool, sent: int) -> None:
    """It and what reads for it knew each other: over TLS each held up to 1.6 MiB of buffers until garbage was looked for."""

    async def scenario() -> None:
        tls = {"tls": tls_context(str(pem), str(pem))} if secured else {}
        async with serving(echo, judging=judging, **tls) as served:
            client = await served.connect(**(trusting(pem) if secured else {}))
            client.send(post(BODY)[:sent])
            if sent > 300 or (judging is not None and sent > 20):
                await client.answer()
            await until(lambda: served.server.connections_count == 1)
            client.close()
            await until(lambda: served.server.connections_count == 0)
            served.app.refused.clear()
            for _ in range(9):  # turns, in which the loop lets go what it still has to call
                await asyncio.sleep(0)
            assert not [each for each in gc.get_objects() if isinstance(each, Connection)]

    run(scenario())


@both_loops
def test_of_a_request_that_was_refused_by_its_head_nothing_is_held_while_its_client_stays(run: Run) -> None:
    """[fault S1] The refusal knew where it was raised, and thereby what had been read: 64 KiB for each client without a key."""

    async def scenario() -> None:
        async with serving(echo, judging=without_a_key) as served:
            client = await served.connect()
            answer = await client.ask(post(BODY[:9_000]))
            assert answer.status == 401
            refusal = reader_of(served.server).refusal
            assert refusal is None or refusal.__traceback__ is None

    run(scenario())


def reader_of(server: HttpServer) -> RequestReader:
    """Return what reads the one connection of a server. Nobody else is told, and a suite's garbage is long to look through."""
    shared: Any = getattr(server, "_shared")  # noqa: B009 - it is private, which the type checkers say of an attribute
    [connection] = shared.connections
    return cast("RequestReader", getattr(connection, "_reader"))  # noqa: B009 - it is private as well
