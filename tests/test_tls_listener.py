"""Connections to the TLS port before they are secured: they count from their accept, end in time, and plain HTTP is told. Fault S18."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from aisa.http.connection import CONNECTIONS_OVER_MAX
from aisa.http.server import tls_context
from aisa.http.tls_listener import BEGUN_PER_TURN_MAX, Handshakes
from aisa.testing.clock import run_virtual
from http_server_rig import Run, both_loops, get, pem, serving, trusting, until

__all__ = ["pem"]


@both_loops
@pytest.mark.parametrize("data", [get(), b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc", b"\r\n", b"nonsense"])
def test_plain_http_to_the_tls_port_is_told_so(run: Run, pem: Path, data: bytes) -> None:
    """400 in plain HTTP and JSON, which says https; nothing of it is read as a request."""

    async def scenario() -> None:
        async with serving(tls=tls_context(str(pem), str(pem))) as served:
            client = await served.connect()
            client.send(data)
            answer = await client.answer()
            assert (answer.status, "https://" in answer.json["message"]) == (400, True)
            assert (await client.rest(), served.app.judged) == (b"", [])
            secured = await served.connect(**trusting(pem))
            assert (await secured.ask(get())).status == 200
            assert not served.complaints

    run(scenario())


@both_loops
def test_a_handshake_counts_as_a_connection(run: Run, pem: Path) -> None:
    """Clients that connect and say nothing, or half a hello, fill `connections_max`: the next is told 503, and far too many are cut."""

    async def scenario() -> None:
        async with serving(tls=tls_context(str(pem), str(pem)), connections_max=2) as served:
            silent = [await served.connect_bare() for _ in range(2)]
            await silent[0].send(b"\x16\x03\x01")
            await until(lambda: served.server.connections_count == 2)
            refused = await served.connect(**trusting(pem))
            assert (await refused.answer()).status == 503
            more = [await served.connect_bare() for _ in range(CONNECTIONS_OVER_MAX - 1)]
            await until(lambda: served.server.connections_count == 2 + CONNECTIONS_OVER_MAX)
            cut = await served.connect_bare()
            assert await cut.rest() == b""
            for client in (*silent, *more):
                client.close()
            await until(lambda: served.server.connections_count <= 1)
            refused.close()
            await until(lambda: served.server.connections_count == 0)
            assert (await (await served.connect(**trusting(pem))).ask(get())).status == 200

    run(scenario())


@pytest.mark.parametrize("begin", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00"])
def test_a_handshake_that_does_not_end_is_given_up_in_time(pem: Path, begin: bytes) -> None:
    """10 s for the first byte, and as long for the rest, whatever has come of it."""

    async def scenario() -> None:
        async with serving(tls=tls_context(str(pem), str(pem))) as served:
            client = await served.connect_bare()
            if begin:
                await client.send(begin)
            await until(lambda: served.server.connections_count == 1)
            began = asyncio.get_running_loop().time()
            assert await client.rest() == b""
            await until(lambda: served.server.connections_count == 0)
            assert 9 < asyncio.get_running_loop().time() - began < 12

    run_virtual(scenario())


@both_loops
def test_a_stopping_server_waits_for_no_handshake(run: Run, pem: Path) -> None:
    """Nobody has asked for anything yet."""

    async def scenario() -> None:
        async with serving(tls=tls_context(str(pem), str(pem))) as served:
            client = await served.connect_bare()
            await client.send(b"\x16\x03")
            await until(lambda: served.server.connections_count == 1)
            began = asyncio.get_running_loop().time()
            await served.server.drain(30)
            assert asyncio.get_running_loop().time() - began < 1
            assert (await client.rest(), served.server.connections_count) == (b"", 0)

    run(scenario())


def test_a_few_handshakes_begin_in_each_turn_of_the_loop_in_order() -> None:
    """All at once, 700 of them let a stream that was open stand for four seconds. Who has given up takes nobody's place."""

    async def scenario() -> None:
        handshakes, begun = Handshakes(), list[int]()

        async def shake(number: int) -> None:
            await handshakes.turn()
            begun.append(number)

        tasks = [asyncio.ensure_future(shake(number)) for number in range(5 * BEGUN_PER_TURN_MAX)]
        await asyncio.sleep(0)
        for given_up in tasks[2:4]:
            given_up.cancel()
        counts = [0]
        while len(begun) < len(tasks) - 2:
            await asyncio.sleep(0)
            counts.append(len(begun))
        assert max(after - before for before, after in pairwise(counts)) == BEGUN_PER_TURN_MAX
        assert begun == [0, 1, *range(4, len(tasks))]
        async with asyncio.timeout(1):
            await handshakes.turn()

    run_virtual(scenario())
