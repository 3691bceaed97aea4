"""Who gets which connection to a vendor, who waits, and what a broken or cancelled call leaves behind: nothing. On real sockets."""

from __future__ import annotations

import asyncio
import socket

import pytest
import uvloop

from aisa.config.schema import Vendor
from aisa.errors import UpstreamFailed
from aisa.http.pool import IDLE_SECONDS_MAX, HttpUpstream, PoolStatistics
from aisa.testing.clock import VirtualLoop, run_virtual
from http_client_rig import (
    OK,
    STREAM_HEAD,
    Connection,
    FakeVendor,
    Run,
    answering,
    both_loops,
    call,
    cancelled,
    post,
    read_all,
    until,
    vendor,
)

EMPTY = "<HttpUpstream local 0 idle 0 in use>"
ONE_IDLE = "<HttpUpstream local 1 idle 0 in use>"
HUGE = b"b" * 33_554_432


async def code_of(awaitable: asyncio.Future[object] | asyncio.Task[object]) -> str:
    """Return the error code with which something fails."""
    with pytest.raises(UpstreamFailed) as failure:
        await awaitable
    return failure.value.error.code


@both_loops
def test_200_calls_in_a_row_share_one_connection(run: Run) -> None:
    """A connection whose answer was read to its end is used again."""

    async def scenario() -> None:
        async with vendor(answering(OK)) as (fake, upstream):
            for _ in range(200):
                assert await call(upstream) == (200, b"ok")
            assert [connection.received for connection in fake.connections] == [200]
            assert upstream.statistics() == PoolStatistics(open=1, idle=1, in_use=0, waiting=0)

    run(scenario())


@both_loops
def test_50_calls_at_once_never_open_more_than_5_connections(run: Run) -> None:
    """All are answered, five at a time, and five connections remain."""

    async def scenario() -> None:
        async with vendor(answering(OK), connections_max=5) as (fake, upstream):
            calls = [asyncio.create_task(call(upstream)) for _ in range(50)]
            await asyncio.sleep(0)
            assert repr(upstream) == "<HttpUpstream local 0 idle 5 in use 45 waiting>"
            assert await asyncio.gather(*calls) == [(200, b"ok")] * 50
            assert (fake.most_open, len(fake.connections)) == (5, 5)
            assert upstream.statistics() == PoolStatistics(open=5, idle=5, in_use=0, waiting=0)

    run(scenario())


def test_the_most_recently_used_connection_is_taken_first() -> None:
    """So that connections that are not needed grow old and go."""

    async def scenario() -> None:
        async with vendor(answering(OK)) as (fake, upstream):
            first, second = await upstream.ask(post()), await upstream.ask(post())
            second.close()
            first.close()
            await call(upstream)
            assert [connection.received for connection in fake.connections] == [2, 1]

    run_virtual(scenario())


@pytest.mark.parametrize("keeps", [True, False])
def test_waiting_calls_are_served_in_the_order_in_which_they_came(keeps: bool) -> None:
    """First come, first served, whether the connection lives on or its place has to be filled anew."""

    async def scenario() -> None:
        async def one(number: int) -> None:
            await call(upstream)
            served.append(number)

        served: list[int] = []
        answer = OK if keeps else OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
        async with vendor(answering(answer), connections_max=1) as (fake, upstream):
            await asyncio.gather(*(one(number) for number in range(5)))
            assert (served, len(fake.connections), fake.most_open) == ([0, 1, 2, 3, 4], 1 if keeps else 5, 1)

    run_virtual(scenario())


def test_a_call_waits_for_a_connection_no_longer_than_the_connect_timeout() -> None:
    """Then it fails with overloaded, and the one that holds the connection is undisturbed."""

    async def scenario() -> None:
        async with vendor(answering(OK), connections_max=1, connect_timeout_seconds=3) as (_, upstream):
            holder = await upstream.ask(post())
            began = asyncio.get_running_loop().time()
            assert await code_of(asyncio.create_task(upstream.ask(post()))) == "overloaded"
            assert asyncio.get_running_loop().time() - began == pytest.approx(3, abs=0.1)
            assert repr(upstream) == "<HttpUpstream local 0 idle 1 in use>"
            assert await read_all(holder) == b"ok"
            holder.close()
            assert repr(upstream) == ONE_IDLE

    run_virtual(scenario())


@both_loops
@pytest.mark.parametrize("first", [OK, STREAM_HEAD], ids=["kept", "bare place"])
@pytest.mark.parametrize("order", ["cancelled first", "served first"])
def test_a_cancelled_waiter_leaves_no_trace(run: Run, first: bytes, order: str) -> None:
    """Neither while it waits nor in the very turn in which it is handed a connection or a bare place."""

    async def scenario() -> None:
        async def script(connection: Connection) -> None:
            await answering(first if connection.number == 1 else OK, OK)(connection)

        async with vendor(script, connections_max=1) as (fake, upstream):
            holder = await upstream.ask(post())
            waiting = asyncio.create_task(call(upstream))
            await until(lambda: upstream.statistics().waiting == 1)
            await cancelled(waiting)
            assert repr(upstream) == "<HttpUpstream local 0 idle 1 in use>"
            waiting, next_one = asyncio.create_task(call(upstream)), asyncio.create_task(call(upstream))
            await until(lambda: upstream.statistics().waiting == 2)
            if order == "cancelled first":
                waiting.cancel()
            holder.close()
            await cancelled(waiting)
            assert await next_one == (200, b"ok")
            assert repr(upstream) == ONE_IDLE
            assert len(fake.connections) == (1 if first is OK else 2)

    run(scenario())


@both_loops
@pytest.mark.parametrize("stage", ["connecting", "sending", "waiting for the head", "reading the body"])
def test_a_call_that_is_cancelled_is_aborted_at_once(run: Run, stage: str) -> None:
    """Whatever it waits for: the vendor sees the end, and the connection is neither counted nor used again."""

    async def scenario() -> None:
        async def script(connection: Connection) -> None:
            if stage == "sending":
                await go.wait()
            elif stage != "connecting":
                await connection.request()
            if stage == "reading the body":
                connection.send(STREAM_HEAD + b"2\r\nok\r\n")
            await connection.gone()

        async def one() -> None:
            answer = await upstream.ask(post(HUGE))
            try:
                while await answer.read():
                    read.set()
            finally:
                answer.close()  # who reads decides: an answer may also be read on without its client

        go, read = asyncio.Event(), asyncio.Event()
        async with FakeVendor(script).serving() as fake:
            scheme = "https" if stage == "connecting" else "http"
            upstream = HttpUpstream("local", Vendor(base_url=f"{scheme}://127.0.0.1:{fake.port}"), {})
            task = asyncio.create_task(one())
            await until(lambda: len(fake.connections) == 1)
            if stage == "waiting for the head":
                await until(lambda: fake.connections[0].received == 1)
            elif stage == "reading the body":
                await read.wait()
            for _ in range(20):
                await asyncio.sleep(0)
            assert repr(upstream) == "<HttpUpstream local 0 idle 1 in use>"
            await cancelled(task)
            assert repr(upstream) == EMPTY
            go.set()
            await until(lambda: fake.connections[0].lost)
            await upstream.close()

    run(scenario())


@pytest.mark.parametrize("loop", [VirtualLoop, uvloop.new_event_loop])
def test_a_call_may_be_cancelled_in_any_turn_of_the_event_loop(loop: type[asyncio.AbstractEventLoop]) -> None:
    """Wherever the cancellation falls, the pool is empty or keeps one idle connection, and the next call succeeds."""

    async def scenario() -> None:
        async with vendor(answering(STREAM_HEAD + b"2\r\nok\r\n0\r\n\r\n")) as (_, upstream):
            for turns in range(30):
                task = asyncio.create_task(call(upstream))
                for _ in range(turns % 15):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                assert repr(upstream) in (EMPTY, ONE_IDLE)
                assert await call(upstream) == (200, b"ok")
                assert repr(upstream) == ONE_IDLE
                if turns >= 15:  # the first half begins with a kept connection, the second with none
                    upstream._discard_idle(next(iter(upstream._idle)))

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scenario())


def test_idle_connections_are_dropped_after_30_seconds() -> None:
    """Each at its own time, by one timer."""

    async def scenario() -> None:
        async with vendor(answering(OK)) as (fake, upstream):
            first, second = await upstream.ask(post()), await upstream.ask(post())
            first.close()
            await asyncio.sleep(IDLE_SECONDS_MAX / 2)
            second.close()
            await asyncio.sleep(IDLE_SECONDS_MAX / 2 + 1)
            assert (repr(upstream), fake.connections[0].lost, fake.connections[1].lost) == (ONE_IDLE, True, False)
            await asyncio.sleep(IDLE_SECONDS_MAX / 2)
            assert (repr(upstream), fake.connections[1].lost) == (EMPTY, True)

    run_virtual(scenario())


@both_loops
@pytest.mark.parametrize("how", ["fin", "rst", "byte"])
def test_an_idle_connection_on_which_anything_happens_is_dropped(run: Run, how: str) -> None:
    """A FIN, a RST or a byte that nobody asked for ends it, and the next call opens another."""

    async def scenario() -> None:
        async def script(connection: Connection) -> None:
            await connection.request()
            connection.send(OK)
            if connection.number == 1:
                await go.wait()
                if how == "rst":
                    connection.reset()
                elif how == "byte":
                    connection.send(b"H")
                    await connection.gone()

        go = asyncio.Event()
        async with vendor(script) as (fake, upstream):
            await call(upstream)
            assert repr(upstream) == ONE_IDLE
            go.set()
            await until(lambda: repr(upstream) == EMPTY)
            assert await call(upstream) == (200, b"ok")
            assert len(fake.connections) == 2

    run(scenario())


@both_loops
def test_a_hang_up_that_only_the_kernel_knows_of_costs_nothing(run: Run) -> None:
    """A call made in the same turn in which the vendor hung up is sent once, on a new connection."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setblocking(False)
            upstream = HttpUpstream("local", Vendor(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}"), {})
            for _ in range(2):
                task = asyncio.create_task(call(upstream))
                peer, _ = await loop.sock_accept(listener)
                assert await loop.sock_recv(peer, 65_536)
                await loop.sock_sendall(peer, OK)
                assert await task == (200, b"ok")
                assert repr(upstream) == ONE_IDLE
                peer.close()  # the loop has no turn before the next ask
            await upstream.close()

    run(scenario())


@both_loops
@pytest.mark.parametrize(("how", "sent"), [("fin", b""), ("rst", b""), ("fin", b"H")])
@pytest.mark.parametrize("kept", [True, False])
def test_only_a_kept_connection_that_died_without_a_byte_may_be_repeated(run: Run, how: str, sent: bytes, kept: bool) -> None:
    """The vendor may have begun to work in every other case; one that says FIN after it has read the whole request, too."""

    async def scenario() -> None:
        async def script(connection: Connection) -> None:
            if kept:
                await connection.request()
                connection.send(OK)
            await connection.request()
            connection.send(sent)
            if how == "rst":
                connection.reset()

        async with vendor(script) as (_, upstream):
            if kept:
                await call(upstream)
            with pytest.raises(UpstreamFailed) as failure:
                await call(upstream)
            assert (failure.value.error.code, failure.value.may_repeat) == ("upstream_unavailable", kept and how == "rst")
            assert repr(upstream) == EMPTY

    run(scenario())


@both_loops
@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
        OK + b"x",
        OK + OK,
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nokx",
    ],
)
def test_a_connection_is_not_kept_when_the_vendor_ends_it_or_says_more_than_asked(run: Run, answer: bytes) -> None:
    """The answer itself is good; the bytes after it are nobody's."""

    async def scenario() -> None:
        async def script(connection: Connection) -> None:
            await connection.request()
            connection.send(answer)
            await connection.gone()

        async with vendor(script) as (fake, upstream):
            for _ in range(2):
                assert await call(upstream) == (200, b"ok")
                assert repr(upstream) == EMPTY
            assert len(fake.connections) == 2

    run(scenario())


@both_loops
def test_an_answer_closed_early_aborts_its_connection(run: Run) -> None:
    """Closing before the end is how a stream is cancelled."""

    async def scenario() -> None:
        async def script(connection: Connection) -> None:
            await connection.request()
            connection.send(STREAM_HEAD + b"2\r\nok\r\n")
            await connection.gone()

        async with vendor(script) as (fake, upstream):
            answer = await upstream.ask(post())
            answer.close()
            assert repr(upstream) == EMPTY
            await until(lambda: fake.connections[0].lost)

    run(scenario())


@both_loops
def test_a_closed_pool_holds_nothing_and_takes_nothing(run: Run) -> None:
    """Idle connections go, whoever reads or waits is told, and further calls are refused."""

    async def scenario() -> None:
        async with vendor(answering(OK, STREAM_HEAD), connections_max=2) as (fake, upstream):
            first, second = await upstream.ask(post()), await upstream.ask(post())
            await read_all(first)
            first.close()
            reading = await upstream.ask(post())
            readers = [asyncio.create_task(reading.read()), asyncio.create_task(upstream.ask(post()))]
            await read_all(second)
            await until(lambda: upstream.statistics().waiting == 1)
            began = asyncio.get_running_loop().time()
            await upstream.close()
            assert [await code_of(reader) for reader in readers] == ["upstream_unavailable", "overloaded"]
            assert asyncio.get_running_loop().time() - began < 4  # not only when the waiting call's time was up
            reading.close()
            second.close()
            assert await code_of(asyncio.create_task(upstream.ask(post()))) == "overloaded"
            assert repr(upstream) == EMPTY
            await until(lambda: fake.open == 0)

    run(scenario())
