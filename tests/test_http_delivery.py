"""What the HTTP server says a client's system has received, against what that system has: on living connections, at their end, after it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from aisa.http.connection import LINGER_SECONDS_MAX
from aisa.http.delivery import SWEEP_CONNECTIONS_MAX, SWEEP_SECONDS, SWEEP_SECONDS_MAX, Sweep, TcpDelivery, delivery_of
from aisa.http.outbox import Outbox
from aisa.http.server import Reply, Request, tls_context
from aisa.http.sockets import kernel_counts, tcp_progress, throw_away_at_close, unacknowledged_bytes
from aisa.http.stall import STALL_SECONDS_MAX, STALL_SETTLING_SECONDS
from aisa.http.tls_delivery import TlsDelivery
from aisa.testing.clock import run_virtual
from aisa.timers import NEVER, Timers
from aisa.wire.port import Client as Port
from http_server_rig import Bare, Client, Run, Wire, arrive, both_loops, get, kernel_time, pem, post, serving, trusting, until, wired

__all__ = ["pem"]

SMALL = 4096  # of the client's receive buffer; our kernel takes 16 KiB more
WINDOW_BYTES = 8192  # what such a client takes at most without acknowledging it
SSE = [("content-type", "text/event-stream")]
PROBE = b": keep-alive\n\n"
CLOSE = "connection: close\r\n"
OLD = b"GET / HTTP/1.0\r\n\r\n"

#: How the answer is asked for: on a connection that is kept, on one that the client wants closed, by a client that knows no other way.
asking = pytest.mark.parametrize("ask", [get(), get("/", CLOSE), OLD], ids=["keep-alive", "close", "1.0"])


class Answering:
    """A script that answers with so many bytes and notes, in order, of which answers it is told that they were delivered."""

    def __init__(self, size: int = 15_000) -> None:
        self.size = size
        self.told: list[tuple[str, bool]] = []
        self.replies: list[Reply] = []
        self.ends: list[int] = []

    async def __call__(self, request: Request, reply: Reply) -> None:
        """Answer with a body of known length, all at once, which ends with END."""
        self.replies.append(reply)
        reply.start(200, [], self.size)
        reply.end(b"x" * (self.size - 3) + b"END")
        self.ends.append(reply.bytes_written)
        reply.tell_delivery(lambda delivered: self.told.append((request.path, delivered)))


class Streaming:
    """A script that streams KiB by KiB for as long as it is let, and keeps its reply."""

    def __init__(self, pieces: int = 1_000) -> None:
        self._pieces = pieces
        self.reply: Reply
        self.paused = asyncio.Event()
        self.cancelled = False

    async def __call__(self, request: Request, reply: Reply) -> None:
        """Stream, then wait for ever."""
        self.reply = reply
        reply.start(200, [], None)
        try:
            for _ in range(self._pieces):
                reply.write(b"x" * 1024)
                await reply.writable()
            self.paused.set()
            await asyncio.Event().wait()
        finally:
            self.cancelled = True


async def stalled(script: Streaming, client: Bare | None = None) -> None:
    """Wait until the client takes nothing more, nor does our kernel, and all that it has is acknowledged."""
    await until(lambda: hasattr(script, "reply"))
    seen = (-1, -1)
    while not script.reply.congested or seen != (script.reply.bytes_sent, script.reply.bytes_delivered()):
        seen = (script.reply.bytes_sent, script.reply.bytes_delivered())
        await asyncio.sleep(0.1)
    await until(lambda: client is None or client.bytes_had() == script.reply.bytes_delivered())


async def acknowledged(client: Bare, script: Answering) -> None:
    """Wait until a client that does not read has all of its answers that it takes, and has said so."""
    await until(lambda: script.replies and 0 < client.bytes_had() == script.replies[0].bytes_delivered())


async def cut(client: Bare) -> None:
    """Read what a client still finds, which must end with a reset."""
    with pytest.raises(ConnectionResetError):
        await client.read_until(b"no such end")


# The figures


@both_loops
def test_everything_is_delivered_to_a_client_that_reads(run: Run) -> None:
    """Written, taken and delivered agree with what the client has read, to the byte, through several replies of one connection."""

    async def scenario() -> None:
        async def script(request: Request, reply: Reply) -> None:
            replies.append(reply)
            reply.start(200, [], None)
            for _ in range(100):
                reply.write(b"x" * 1_000)
                await reply.writable()
            reply.end(b"END")

        replies: list[Port] = []
        async with serving(script) as served:
            client = await served.connect_bare()
            for _ in range(3):
                await client.send(get())
                await client.read_until(b"END\r\n0\r\n\r\n")
                port = replies[-1]
                await until(lambda port=port: port.bytes_delivered() == client.bytes_read)
                assert port.bytes_written == port.bytes_taken() == client.bytes_read

    run(scenario())


@both_loops
def test_whatever_else_is_written_counts_too(run: Run) -> None:
    """Interim replies and probes are on the scale, or an answer behind them would be taken for delivered too early."""

    async def scenario() -> None:
        async def script(request: Request, reply: Reply) -> None:
            replies.append(reply)
            if request.method == "GET":
                await release.wait()
            reply.start(200, SSE, None, probe=PROBE)
            reply.write(b"x")
            await again.wait()
            reply.end(b"END")

        replies: list[Reply] = []
        release, again = asyncio.Event(), asyncio.Event()
        async with serving(script) as served:
            client = await served.connect_bare()
            await client.send(post(b"body", headers="expect: 100-continue\r\n").removesuffix(b"body"))
            await client.read_until(b"HTTP/1.1 100 Continue\r\n\r\n")
            await client.send(b"body")
            again.set()
            await client.read_until(b"END\r\n0\r\n\r\n")
            assert client.bytes_read == replies[0].bytes_written
            again.clear()
            await client.send(get())
            await until(lambda: len(replies) == 2)
            client.half_close()
            await client.read_until(b"HTTP/1.1 100 Continue\r\n\r\n")
            release.set()
            await client.read_until(b"x\r\n")
            again.set()
            await client.read_until(b"END\r\n0\r\n\r\n")
            assert client.bytes_read == replies[1].bytes_written

    run(scenario())


@both_loops
@pytest.mark.parametrize("how", ["reset", "half_close"])
def test_of_what_a_stalled_client_did_not_take_nothing_is_delivered(run: Run, how: str) -> None:
    """Of 1 MB for a client that reads some and stalls, exactly what its kernel had when it left is delivered, however it leaves."""

    async def scenario() -> None:
        script = Streaming()
        async with serving(script) as served:
            client = await served.connect_bare(SMALL)
            await client.send(get())
            while client.bytes_read < 20_000:
                await client.read(1_000)
            await stalled(script, client)
            reply = script.reply
            assert reply.bytes_written >= reply.bytes_taken() > reply.bytes_delivered() + 10_000
            if how == "half_close":
                client.half_close()
                await asyncio.sleep(0.3)
                assert (reply.gone, client.bytes_had()) == (False, reply.bytes_delivered())
            had = client.bytes_had()
            client.reset()
            await until(lambda: script.cancelled)
            assert (reply.gone, reply.bytes_delivered(), reply.bytes_taken()) == (True, had, had)

    run(scenario())


@both_loops
def test_a_client_that_leaves_in_the_middle_of_a_flood_is_never_said_to_have_more_than_it_had(run: Run) -> None:
    """Cut at an arbitrary moment, the figure is what the client's kernel had or less, by what it had not acknowledged."""

    async def scenario() -> None:
        for bytes_wanted in range(1_000, 400_000, 39_900):
            script = Streaming()
            async with serving(script) as served:
                client = await served.connect_bare(SMALL)
                await client.send(get())
                while client.bytes_read < bytes_wanted:
                    await client.read()
                had = client.bytes_had()
                client.reset()
                await until(lambda script=script: script.reply.gone)
                assert had - WINDOW_BYTES <= script.reply.bytes_delivered() <= had

    run(scenario())


@both_loops
def test_what_is_written_to_a_client_that_has_left_is_not_delivered(run: Run) -> None:
    """A client that read everything and closed has that much and no more: neither the probe nor what the app still wrote."""

    async def scenario() -> None:
        script = Streaming(10)
        async with serving(script) as served:
            client = await served.connect_bare()
            await client.send(get())
            await until(lambda: hasattr(script, "reply") and script.paused.is_set())
            while client.bytes_read < script.reply.bytes_written:
                await client.read()
            client.close()
            script.reply.write(b"too late")
            await until(lambda: script.reply.gone)
            assert script.reply.bytes_delivered() == client.bytes_read < script.reply.bytes_written

    run(scenario())


@both_loops
def test_what_is_dropped_counts_as_written_and_is_never_delivered(run: Run) -> None:
    """An end that came after the client had gone is told as not delivered, although all before it was."""

    async def scenario() -> None:
        told: list[bool] = []

        async def script(request: Request, reply: Reply) -> None:
            reply.start(200, [], None if request.path == "/stream" else 8)
            reply.write(b"part")
            await until(lambda: reply.gone)
            before = reply.bytes_written
            if request.path == "/stream":
                reply.end()
            else:
                reply.end(b"last")
            assert reply.bytes_written > before >= reply.bytes_delivered()
            reply.tell_delivery(told.append)

        async def stubborn(request: Request, reply: Reply) -> None:
            await asyncio.shield(asyncio.ensure_future(script(request, reply)))

        async with serving(stubborn) as served:
            for path in ("/stream", "/length"):
                client = await served.connect_bare()
                await client.send(get(path))
                await client.read_until(b"part\r\n" if path == "/stream" else b"part")
                await asyncio.sleep(0.1)
                client.reset()
                await until(lambda path=path: len(told) == 1 + (path == "/length"))
            assert told == [False, False]

    run(scenario())


@both_loops
def test_cutting_a_client_throws_away_what_its_kernel_has_not_taken(run: Run) -> None:
    """After `abort` a stalled client finds exactly what is billed and then a reset; our kernel sends nothing more on its own."""

    async def scenario() -> None:
        script = Streaming()
        async with serving(script) as served:
            client = await served.connect_bare(SMALL)
            await client.send(get())
            await stalled(script, client)
            delivered = script.reply.bytes_delivered()
            script.reply.abort()
            await until(lambda: script.reply.gone)
            assert script.reply.bytes_delivered() == delivered
            await cut(client)
            assert client.bytes_read == delivered

    run(scenario())


# Telling


@both_loops
@asking
def test_a_client_that_reads_is_told_of(run: Run, ask: bytes) -> None:
    """The call hears True, once, without the client doing anything, and a connection that was to be closed is closed."""

    async def scenario() -> None:
        script = Answering()
        async with serving(script) as served:
            client = await served.connect_bare()
            await client.send(ask)
            await client.read_until(b"END")
            await until(lambda: script.told)
            assert script.told == [("/", True)]
            if ask != get():
                assert (await client.rest(), client.bytes_read) == (b"", script.ends[0])
                await until(lambda: not served.server.connections_count)
            await asyncio.sleep(SWEEP_SECONDS)
            assert (script.told, script.replies[0].bytes_delivered()) == ([("/", True)], script.ends[0])

    run(scenario())


def test_our_end_comes_right_behind_a_last_answer() -> None:
    """A client that needs it to know that this was all does not wait for a timer of ours; nor does its end count as a byte of answer."""

    async def scenario() -> None:
        script = Answering()
        loop = asyncio.get_running_loop()
        async with serving(script) as served:
            client = await served.connect_bare(SMALL)
            await client.send(get("/", CLOSE))
            await asyncio.sleep(10)
            began = loop.time()
            ticking = asyncio.create_task(kernel_time())  # else time would jump to the timer that must not be needed
            await client.read_until(b"END")
            assert (await client.rest(), loop.time() - began < 0.1, script.told) == (b"", True, [])
            client.close()
            await until(lambda: not served.server.connections_count)
            assert (script.told, script.replies[0].bytes_delivered()) == ([("/", True)], script.ends[0])
            ticking.cancel()

    run_virtual(scenario())


def test_a_client_that_resets_after_it_has_acknowledged_has_its_answer() -> None:
    """At the loss of a connection, before any look for it, what was acknowledged is told as delivered."""

    async def scenario() -> None:
        script = Answering()
        async with serving(script) as served:
            client = await served.connect_bare()
            await client.send(get())
            await client.read_until(b"END")
            await kernel_time()
            assert script.told == []
            client.reset()
            await until(lambda: script.told)
            assert (script.told, asyncio.get_running_loop().time() < SWEEP_SECONDS) == ([("/", True)], True)

    run_virtual(scenario())


@both_loops
def test_a_client_that_resets_just_before_we_close_is_no_error(run: Run) -> None:
    """Saying that this was all to somebody who is gone, of which the loop does not know yet, raises nothing."""

    async def scenario() -> None:
        script = Answering()

        async def resetting(request: Request, reply: Reply) -> None:
            await script(request, reply)
            client.reset()

        async with serving(resetting) as served:
            client = await served.connect_bare(SMALL)
            await client.send(get("/", CLOSE))
            await until(lambda: script.told)
            assert (script.told, served.complaints) == ([("/", False)], [])
            await until(lambda: not served.server.connections_count)

    run(scenario())


@both_loops
@asking
@pytest.mark.parametrize("leave", ["reset", "half_close"])
def test_a_client_that_does_not_take_its_answer_is_told_of_when_it_leaves(run: Run, ask: bytes, leave: str) -> None:
    """15 kB are all with our kernel, and the call hears neither True nor False until the client resets, after which it hears False."""

    async def scenario() -> None:
        script = Answering()
        async with serving(script) as served:
            client = await served.connect_bare(SMALL)
            await client.send(ask)
            await acknowledged(client, script)
            assert script.replies[0].bytes_taken() == script.ends[0] > script.replies[0].bytes_delivered()
            await asyncio.sleep(3 * SWEEP_SECONDS)
            if leave == "half_close":
                client.half_close()
                await asyncio.sleep(3 * SWEEP_SECONDS)
            assert (script.told, served.server.connections_count) == ([], 1)
            had = client.bytes_had()
            client.reset()
            await until(lambda: script.told)
            assert (script.told, script.replies[0].bytes_delivered()) == ([("/", False)], had)
            await until(lambda: not served.server.connections_count)

    run(scenario())


@both_loops
@asking
@pytest.mark.parametrize("halves", [False, True], ids=["whole", "half-closed"])
def test_a_client_that_reads_late_gets_everything_and_is_told_of(run: Run, ask: bytes, halves: bool) -> None:
    """Closing, by us or by half of the client, neither hides the delivery nor loses a byte of it."""

    async def scenario() -> None:
        script = Answering()
        async with serving(script) as served:
            client = await served.connect_bare(SMALL)
            await client.send(ask)
            if halves:
                client.half_close()
            await acknowledged(client, script)
            assert script.told == []
            data = await client.read_until(b"END")
            await until(lambda: script.told)
            assert (script.told, len(data)) == ([("/", True)], script.ends[0])
            if halves or ask != get():
                assert await client.rest() == b""
                await until(lambda: not served.server.connections_count)

    run(scenario())


@both_loops
def test_pipelined_answers_are_told_of_in_their_order(run: Run) -> None:
    """Each of five is told once; with a client that reads and then stalls, those that it has are True and the others False."""

    async def scenario() -> None:
        script = Answering(5_000)
        async with serving(script) as served:
            client = await served.connect_bare(SMALL)
            await client.send(b"".join(get(f"/{number}") for number in range(5)))
            while client.bytes_read < 8_000:
                await client.read(1_000)
            await until(lambda: len(script.ends) == 5)
            await acknowledged(client, script)
            had = client.bytes_had()
            arrived = [end for end in script.ends if end <= had]
            await until(lambda: len(script.told) == len(arrived))
            client.reset()
            await until(lambda: len(script.told) == 5)
            assert script.told == [(f"/{number}", end <= had) for number, end in enumerate(script.ends)]
            assert 1 <= len(arrived) <= 3

    run(scenario())


def test_the_next_request_of_a_connection_is_news_of_the_answer_before() -> None:
    """No timer is needed for a client that goes on: the first answer is told before the second request is begun."""

    async def scenario() -> None:
        told: list[str] = []

        async def script(request: Request, reply: Reply) -> None:
            told.append(f"begun {request.path}")
            reply.start(200, [], 3)
            reply.end(b"END")
            reply.tell_delivery(lambda delivered: told.append(f"{request.path} {delivered}"))

        loop = asyncio.get_running_loop()
        async with serving(script) as served:
            client = await served.connect_bare()
            for path in ("/1", "/2"):
                await client.send(get(path))
                await client.read_until(b"END")
            assert (told, loop.time() < SWEEP_SECONDS) == (["begun /1", "/1 True", "begun /2"], True)

    run_virtual(scenario())


def test_an_answer_is_told_of_at_once_when_its_connection_is_lost_already() -> None:
    """`tell_delivery` of an ended reply looks at the final figure: True if all of it had been acknowledged."""

    async def scenario() -> None:
        told: list[bool] = []
        replies: list[Reply] = []

        async def script(request: Request, reply: Reply) -> None:
            replies.append(reply)
            reply.start(200, [], 15_000)
            reply.end(b"x" * 14_997 + b"END")

        async with serving(script) as served:
            for reads in (True, False):
                client = await served.connect_bare(SMALL)
                await client.send(get())
                if reads:
                    await client.read_until(b"END")
                await asyncio.sleep(1)
                client.reset()
                await until(lambda: not served.server.connections_count)
                replies[-1].tell_delivery(told.append)
            assert told == [True, False]

    run_virtual(scenario())


def test_an_idle_connection_whose_answer_was_not_taken_is_cut() -> None:
    """The keep-alive time-out does not leave the rest to the kernel: what is told as not delivered does not arrive either."""

    async def scenario() -> None:
        script = Answering()
        async with serving(script, keep_alive_timeout_seconds=2.0) as served:
            client = await served.connect_bare(SMALL)
            await client.send(get())
            await until(lambda: script.told)
            assert (script.told, 2.0 <= asyncio.get_running_loop().time() < 2.2) == ([("/", False)], True)
            await cut(client)
            assert client.bytes_read == script.replies[0].bytes_delivered()

    run_virtual(scenario())


def test_a_closing_connection_waits_as_long_as_the_client_takes_something() -> None:
    """With some progress in every 300 s the end is awaited; without any the client is cut, and what it did not take is lost."""

    async def scenario() -> None:
        script = Answering()
        loop = asyncio.get_running_loop()
        async with serving(script) as served:
            slow, stuck = await served.connect_bare(SMALL), await served.connect_bare(SMALL)
            for client, path in ((slow, "/slow"), (stuck, "/stuck")):
                await client.send(get(path, CLOSE))
            await kernel_time()
            for _ in range(3):
                await asyncio.sleep(STALL_SECONDS_MAX / 2)
                await slow.read(SMALL)
            assert (script.told, 450 < loop.time() < 460) == ([("/stuck", False)], True)
            await cut(stuck)
            await slow.read_until(b"END")
            await until(lambda: len(script.told) == 2)
            assert script.told[1] == ("/slow", True)

    run_virtual(scenario())


def test_a_client_that_takes_nothing_of_a_last_answer_is_cut_after_300_seconds() -> None:
    """The time without progress counts from a second after the end."""

    async def scenario() -> None:
        script = Answering()
        async with serving(script) as served:
            client = await served.connect_bare(SMALL)
            await client.send(get("/", CLOSE))
            await kernel_time()
            await asyncio.sleep(STALL_SECONDS_MAX)
            assert (script.told, served.server.connections_count) == ([], 1)
            await asyncio.sleep(STALL_SETTLING_SECONDS + 1)
            assert (script.told, served.server.connections_count) == ([("/", False)], 0)

    run_virtual(scenario())


@both_loops
def test_what_is_sent_behind_a_last_answer_does_not_hide_its_delivery(run: Run) -> None:
    """A client that goes on sending to a connection that we close gets the whole answer, and the call hears of it."""

    async def scenario() -> None:
        script = Answering()
        async with serving(script) as served:
            client = await served.connect_bare(SMALL)
            await client.send(get("/", CLOSE))
            await acknowledged(client, script)
            await client.send(b"GET /never HTTP/1.1\r\n" * 10_000)
            data = await client.read_until(b"END")
            await until(lambda: script.told)
            assert (script.told, len(data), len(served.app.requests)) == ([("/", True)], script.ends[0], 1)

    run(scenario())


def test_lingering_for_a_client_that_goes_on_sending_does_not_end_before_its_answer_is_taken() -> None:
    """The 10 s of patience with what is pipelined behind a last answer do not cut a client that has yet to take that answer."""

    async def scenario() -> None:
        script = Answering()
        async with serving(script) as served:
            client = await served.connect_bare(SMALL)
            await client.send(get("/", CLOSE) + get("/never") * 10)
            await asyncio.sleep(2 * LINGER_SECONDS_MAX)
            assert (script.told, served.server.connections_count) == ([], 1)
            assert len(await client.read_until(b"END")) == script.ends[0]
            await until(lambda: not served.server.connections_count)
            assert (script.told, len(served.app.requests)) == ([("/", True)], 1)

    run_virtual(scenario())


# TLS and unix sockets


@both_loops
def test_over_tls_the_figures_are_those_of_the_plaintext(run: Run, pem: Path) -> None:
    """With everything acknowledged they agree to the byte, for large and small writes and several replies."""

    async def scenario() -> None:
        async def script(request: Request, reply: Reply) -> None:
            replies.append(reply)
            reply.start(200, [], None)
            for piece in (b"x", b"y" * 16_384, b"z" * 100_000):
                reply.write(piece)
            reply.end(b"END")
            reply.tell_delivery(told.append)

        replies: list[Reply] = []
        told: list[bool] = []
        async with serving(script, tls=tls_context(str(pem), str(pem))) as served:
            for version in ("TLSv1.2", "TLSv1.3"):
                client = await served.connect(**secured(pem, version))
                bytes_before = len(replies)
                for number in range(2):
                    client.send(get())
                    assert len((await client.answer()).body) == 116_388
                    wanted = bytes_before + number + 1
                    await until(lambda wanted=wanted: len(told) == wanted)
                    reply = replies[-1]
                    assert reply.bytes_written == reply.bytes_taken() == reply.bytes_delivered() > 116_388 * (number + 1)
                    assert plaintext_acknowledged(reply) == reply.bytes_written
            assert told == [True] * 4

    run(scenario())


def secured(pem: Path, version: str, cipher: str = "ALL") -> dict[str, Any]:
    """The client's side of one version of TLS, as arguments of `connect`."""
    more = trusting(pem)
    more["ssl"].set_ciphers(cipher)
    more["ssl"].minimum_version = more["ssl"].maximum_version = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}[version]
    return more


def test_every_cipher_that_we_offer_has_the_framing_that_we_count(pem: Path) -> None:
    """A stream of many small records is found delivered to the byte with each of them."""

    async def scenario() -> None:
        async def script(request: Request, reply: Reply) -> None:
            replies.append(reply)
            reply.start(200, [], None)
            for _ in range(300):
                reply.write(b"x" * 100)
            reply.end()

        replies: list[Reply] = []
        context = tls_context(str(pem), str(pem))
        offered = [cipher["name"] for cipher in context.get_ciphers() if "ECDSA" in cipher["name"]]
        assert len(offered) == 3
        async with serving(script, tls=context) as served:
            for name in offered:
                client = await served.connect(**secured(pem, "TLSv1.2", name))
                assert client.writer.get_extra_info("cipher")[0] == name
                client.send(get())
                assert len((await client.answer()).body) == 30_000
                await until(lambda: replies[-1].bytes_delivered() == replies[-1].bytes_written)
                assert plaintext_acknowledged(replies[-1]) == replies[-1].bytes_written

    run_virtual(scenario())


def plaintext_acknowledged(reply: Reply) -> int:
    """What a TLS connection's figures come to before they are kept from exceeding what was written."""
    out = reply._out
    assert isinstance(out, TlsDelivery)
    return tcp_progress(out._descriptor)[1] - out._ciphertext_ends[-1] + out._plaintext_ends[-1]


@both_loops
@pytest.mark.parametrize("how", ["close", "reset"])
def test_over_tls_a_stalled_client_is_never_said_to_have_more_than_it_had(run: Run, pem: Path, how: str) -> None:
    """Of a stream for a client that stalls, what counts as delivered is at most what came through, and not much less."""

    async def scenario() -> None:
        script = Streaming()
        async with serving(script, tls=tls_context(str(pem), str(pem))) as served:
            client = await served.connect(SMALL, **trusting(pem))
            client.send(get())
            received = len(await client.reader.readexactly(20_000))
            client.writer.transport.pause_reading()
            await stalled(script)
            reply = script.reply
            assert reply.bytes_written >= reply.bytes_taken() > reply.bytes_delivered() > received
            delivered = reply.bytes_delivered()
            if how == "close":
                reply.abort()
                await until(lambda: reply.gone)
                assert reply.bytes_delivered() >= delivered
                client.writer.transport.resume_reading()
                received += len(await drained(client))
                # A record of which a part is missing cannot be read, though its beginning was acknowledged.
                assert received - 2 * WINDOW_BYTES <= reply.bytes_delivered() <= received + 1_024 + 2 * WINDOW_BYTES
            else:
                client.reset()
                await until(lambda: reply.gone)
                assert delivered <= reply.bytes_delivered() <= delivered + WINDOW_BYTES

    run(scenario())


async def drained(client: Client) -> bytes:
    """What a client still gets to read of a connection that has been cut."""
    data = b""
    while not client.reader.at_eof():
        try:
            piece = await client.reader.read(65_536)
        except ConnectionResetError:
            break
        data += piece
    return data


@both_loops
@pytest.mark.parametrize("reads", [True, False], ids=["reads", "does not read"])
@pytest.mark.parametrize("ask", [get(), get("/", CLOSE)], ids=["keep-alive", "close"])
def test_over_tls_a_delivery_is_told_as_without_it(run: Run, pem: Path, reads: bool, ask: bytes) -> None:
    """True when the client reads, although we close; nothing while it does not, and False when it leaves."""

    async def scenario() -> None:
        script = Answering(1_000_000)
        async with serving(script, tls=tls_context(str(pem), str(pem))) as served:
            client = await served.connect(SMALL, **trusting(pem))
            client.writer.transport.pause_reading()
            client.send(ask)
            await until(lambda: script.replies)
            await asyncio.sleep(5 * SWEEP_SECONDS)
            assert (script.told, served.server.connections_count) == ([], 1)
            if reads:
                client.writer.transport.resume_reading()
                assert len((await client.answer()).body) == 1_000_000
            else:
                client.reset()
            await until(lambda: script.told)
            assert script.told == [("/", reads)]
            if ask != get():
                assert await client.rest() == b""
            client.close()
            await until(lambda: not served.server.connections_count)

    run(scenario())


@both_loops
def test_over_a_unix_socket_what_the_kernel_took_is_delivered(run: Run, tmp_path: Path) -> None:
    """Nobody acknowledges there: a small answer is delivered at once, and of a stalled stream what the client finds after the cut."""

    async def scenario() -> None:
        streaming, answering = Streaming(), Answering(1_000)

        async def script(request: Request, reply: Reply) -> None:
            await (streaming if request.path == "/stream" else answering)(request, reply)

        async with serving(script) as served:
            await served.server.listen_unix(str(tmp_path / "socket"))
            clients = []
            for _ in range(2):
                end = socket.socket(socket.AF_UNIX)
                end.setblocking(False)
                await asyncio.get_running_loop().sock_connect(end, str(tmp_path / "socket"))
                clients.append(Bare(end))
            await clients[0].send(get("/", CLOSE))
            await until(lambda: answering.told)
            assert answering.told == [("/", True)]
            await clients[1].send(get("/stream"))
            await stalled(streaming)
            reply = streaming.reply
            assert reply.bytes_written > reply.bytes_taken() == reply.bytes_delivered()
            reply.abort()
            await until(lambda: reply.gone)
            await clients[1].rest()
            assert reply.bytes_delivered() == clients[1].bytes_read
            for client in clients:
                client.close()

    run(scenario())


@both_loops
def test_over_a_unix_socket_a_write_that_failed_is_not_delivered(run: Run, tmp_path: Path) -> None:
    """What is written between the client's leaving and our hearing of it counts as written only."""

    async def scenario() -> None:
        figures: list[tuple[int, int, int]] = []

        async def script(request: Request, reply: Reply) -> None:
            reply.start(200, [], None)
            reply.write(b"x" * 1_000)
            before = reply.bytes_written
            client.close()
            reply.write(b"x" * 1_000)
            figures.append((before, reply.bytes_delivered(), reply.bytes_written))
            await until(lambda: reply.gone)

        async with serving(script) as served:
            await served.server.listen_unix(str(tmp_path / "socket"))
            client = Bare(socket.socket(socket.AF_UNIX))
            client.end.connect(str(tmp_path / "socket"))
            client.end.sendall(get())
            await until(lambda: figures)
            before, delivered, written = figures[0]
            assert 1_000 < delivered == before < written - 1_000

    run(scenario())


@both_loops
def test_over_a_unix_socket_a_client_that_reads_late_is_delivered_to(run: Run, tmp_path: Path) -> None:
    """What left this process after the last write counts as well."""

    async def scenario() -> None:
        replies: list[Reply] = []

        async def script(request: Request, reply: Reply) -> None:
            replies.append(reply)
            reply.start(200, [], None)
            reply.write(b"x" * 1_000_000 + b"END")
            await asyncio.Event().wait()

        async with serving(script) as served:
            await served.server.listen_unix(str(tmp_path / "socket"))
            client = Bare(socket.socket(socket.AF_UNIX))
            client.end.connect(str(tmp_path / "socket"))
            client.end.setblocking(False)
            await client.send(get())
            await client.read_until(b"END\r\n")
            await until(lambda: not replies[0].congested)
            client.close()
            await until(lambda: replies[0].gone)
            assert replies[0].bytes_delivered() == replies[0].bytes_written == client.bytes_read

    run(scenario())


# The sweep and the drain


def test_nothing_is_looked_for_while_nothing_is_unconfirmed() -> None:
    """There is a timer only from the first unconfirmed answer to the last, and it fires ever less often for a client that stalls."""

    async def scenario() -> None:
        script = Answering()
        async with serving(script) as served:
            sweep = served.server._shared.sweep
            reader, stuck = await served.connect_bare(), await served.connect_bare(SMALL)
            assert sweep._timer.due == NEVER
            await reader.send(get())
            await reader.read_until(b"END")
            await until(lambda: script.told)
            await asyncio.sleep(SWEEP_SECONDS)
            assert sweep._timer.due == NEVER
            await stuck.send(get())
            await asyncio.sleep(10)
            assert sweep._timer.due < NEVER
            assert sweep._gap == SWEEP_SECONDS_MAX
            await reader.send(get())
            began = asyncio.get_running_loop().time()
            await reader.read_until(b"END")
            await until(lambda: len(script.told) == 2)
            assert asyncio.get_running_loop().time() - began < 10 * SWEEP_SECONDS
            await stuck.read_until(b"END")
            await until(lambda: len(script.told) == 3)
            await asyncio.sleep(SWEEP_SECONDS_MAX)
            assert (sweep._timer.due, [delivered for _, delivered in script.told]) == (NEVER, [True] * 3)

    run_virtual(scenario())


class Looked:
    """A connection of which the sweep is told that it is confirmed from the n-th look on."""

    def __init__(self, confirmed_at: int) -> None:
        self._confirmed_at = confirmed_at
        self.looks = 0
        self.watched = True

    def confirm(self) -> bool:
        """Count the look."""
        self.looks += 1
        return self.looks >= self._confirmed_at


def test_a_sweep_looks_at_so_many_connections_in_a_turn_and_at_all_of_them_in_the_end() -> None:
    """1,200 connections take three turns, each has its look, and those that are confirmed are not looked at again."""

    async def scenario() -> None:
        sweep = Sweep(Timers())
        watched = [Looked(2) for _ in range(1_200)]
        for connection in watched:
            sweep.add(connection)  # type: ignore[arg-type] # as much of a Delivery as a sweep asks for
        seen = []
        for _ in range(3):
            await asyncio.sleep(SWEEP_SECONDS)
            seen.append(sum(connection.looks for connection in watched))
        assert seen == [SWEEP_CONNECTIONS_MAX, 2 * SWEEP_CONNECTIONS_MAX, 3 * SWEEP_CONNECTIONS_MAX]
        await asyncio.sleep(10)
        assert ({connection.looks for connection in watched}, {connection.watched for connection in watched}) == ({2}, {False})
        assert sweep._timer.due == NEVER

    run_virtual(scenario())


@both_loops
def test_a_drain_waits_for_deliveries_and_no_longer(run: Run) -> None:
    """It ends within a second where the clients have what they asked for, and the calls have heard of it."""

    async def scenario() -> None:
        script = Answering()
        async with serving(script) as served:
            client = await served.connect_bare()
            await client.send(get())
            await client.read_until(b"END")
            began = asyncio.get_running_loop().time()
            await served.server.drain(20)
            assert asyncio.get_running_loop().time() - began < 1
            assert (script.told, await client.rest()) == ([("/", True)], b"")

    run(scenario())


def test_a_drain_cuts_who_does_not_take_its_answer() -> None:
    """After its patience and the grace the connection is cut, and the call hears False."""

    async def scenario() -> None:
        script = Answering()
        loop = asyncio.get_running_loop()
        async with serving(script) as served:
            client = await served.connect_bare(SMALL)
            await client.send(get())
            await acknowledged(client, script)
            began = loop.time()
            await served.server.drain(20)
            assert (script.told, 25 <= loop.time() - began < 25.2) == ([("/", False)], True)
            await cut(client)
            assert client.bytes_read == script.replies[0].bytes_delivered()

    run_virtual(scenario())


# What it is built on


def test_the_kernel_counts_neither_the_opening_nor_our_end_before_its_data() -> None:
    """An accepted connection begins at 0 acknowledged bytes; the end adds one, behind all data."""
    assert kernel_counts()
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as near:
        far, _ = listener.accept()
        with far:
            assert tcp_progress(far.fileno()) == (1, 0, 0)
            far.sendall(b"x" * 1_000)
            near.sendall(near.recv(1_000, socket.MSG_WAITALL))  # its segment acknowledges ours
            far.recv(1_000, socket.MSG_WAITALL)
            assert (tcp_progress(far.fileno()), unacknowledged_bytes(far.fileno())) == ((1, 1_000, 1_000), 0)
            far.shutdown(socket.SHUT_WR)
            assert near.recv(1) == b""
            near.sendall(b"y")
            far.recv(1)
            assert tcp_progress(far.fileno())[1] == 1_001


class Behind(Wire):
    """A transport on a real socket that has not handed over anything yet."""

    def __init__(self, end: socket.socket, **more: object) -> None:
        super().__init__()
        self._told = {"socket": end} | more

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """What is known."""
        return self._told.get(name, default)

    def get_write_buffer_size(self) -> int:
        """Everything still waits, though of TLS it may be in a place that is not asked."""
        return 0 if "cipher" in self._told else sum(map(len, self.written))


@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
def test_what_waits_in_this_process_is_not_delivered_although_nothing_is_on_its_way(secure: bool) -> None:
    """The cheap question, whether the kernel waits for an acknowledgement, does not speak for what it was not given."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        far, _ = listener.accept()
        with far:
            tls = {"cipher": ("TLS_AES_128_GCM_SHA256", "TLSv1.3", 128)} if secure else {}
            of_tcp = partial(TlsDelivery, plain=Behind(far)) if secure else TcpDelivery
            out = delivery_of(Behind(far, **tls), Sweep(Timers()), Outbox(), of_tcp=of_tcp)
            out.write(b"x" * 1_000)
            assert (out.bytes_written, out.taken(), out.delivered()) == (1_000, 0, 0)
            out.lost(unfinished=False)


def test_throwing_away_at_the_close_makes_it_a_reset() -> None:
    """The peer finds what it had, and then that the connection was reset."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as near:
        far, _ = listener.accept()
        far.sendall(b"x")
        throw_away_at_close(far.fileno())
        far.close()
        assert near.recv(1) == b"x"
        with pytest.raises(ConnectionResetError):
            near.recv(1)


# The end of a body


@pytest.mark.parametrize(
    ("begin", "written"),
    [
        (lambda reply: reply.start(200, [], 3), [b"\r\n\r\nEND"]),
        (lambda reply: reply.start(200, [], None), [b"\r\n\r\n3\r\nEND\r\n0\r\n\r\n"]),
        (lambda reply: (reply.start(200, [], None), reply.write(b"a")), [b"\r\n\r\n1\r\na\r\n", b"3\r\nEND\r\n0\r\n\r\n"]),
        (lambda reply: reply.start(204, [], None), [b"\r\n\r\n"]),
    ],
    ids=["length", "chunked", "second chunk", "no body"],
)
def test_the_last_bytes_and_the_end_leave_in_one_write(begin: Callable[[Reply], object], written: list[bytes]) -> None:
    """`end` with data costs one write to the transport, whatever the framing, and counts like a write before it."""

    async def scenario() -> None:
        async def script(request: Request, reply: Reply) -> None:
            begin(reply)
            before = reply.bytes_sent
            reply.end(b"END")
            reply.end(b"and nothing more")
            assert reply.bytes_sent - before == (0 if written == [b"\r\n\r\n"] else 3)
            replies.append(reply)

        replies: list[Reply] = []
        connection, wire, app = wired(script)
        arrive(connection, get())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert replies[0].bytes_written == sum(len(data) for data in wire.written)
        assert [data[-len(end) :] for data, end in zip(wire.written, written, strict=True)] == written
        await asyncio.sleep(0)
        connection.connection_lost(None)
        assert app.refused == []

    run_virtual(scenario())


@pytest.mark.parametrize("data", [b"", b"short", b"longer than said"])
def test_an_end_that_does_not_make_up_the_length_cuts_the_connection(data: bytes) -> None:
    """The client never takes a wrong body for a whole one, and the loop is told of the bug."""

    async def scenario() -> None:
        async def script(request: Request, reply: Reply) -> None:
            reply.start(200, [], 8)
            reply.end(data)

        async with serving(script) as served:
            client = await served.connect_bare()
            await client.send(get())
            received = await client.rest()
            assert (b"longer" in received, "reply of 8 bytes" in served.complaints[0]) == (False, True)
            await until(lambda: not served.server.connections_count)

    run_virtual(scenario())
