"""Bodies of requests are let go when their calls have ended, without a look for garbage, which comes seldom."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Generator
from typing import Any, cast

import pytest

from aisa.http.request import Request, RequestReader
from aisa.http.server import HttpServer
from http_server_rig import Run, both_loops, echo, post, serving

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


def reader_of(server: HttpServer) -> RequestReader:
    """Return what reads the one connection of a server. Nobody else is told, and a suite's garbage is long to look through."""
    shared: Any = getattr(server, "_shared")  # noqa: B009 - it is private, which the type checkers say of an attribute
    [connection] = shared.connections
    return cast("RequestReader", getattr(connection, "_reader"))  # noqa: B009 - it is private as well
