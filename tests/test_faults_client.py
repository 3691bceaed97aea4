"""Everything that a client can do wrong, by malice or by bad luck, on real sockets. Rows in brackets are those of the fault catalogue."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import socket
import sys
import termios
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from aisa.background_reads import REPORT_SECONDS_MAX
from aisa.bodies import PARSES_MAX, body_reader, body_threads
from aisa.keys.store import KeyStore
from aisa.storage.engine import open_database
from aisa.storage.migrate import migrate
from aisa.testing.clock import run_virtual
from aisa.wire.chat_door import CHAT_DOOR
from faults_rig import (
    CANCELLED_SECONDS_MAX,
    CHAT,
    CLIENT_KEY,
    LAST,
    PROMPT,
    SSE,
    VENDOR_KEY,
    Caller,
    Gateway,
    ScriptedVendor,
    Served,
    VendorConnection,
    body,
    connect,
    ends_of,
    failure,
    framed,
    gateway,
    hang,
    in_turn,
    on_uvloop,
    plain,
    post,
    process,
    queued,
    says,
    stream_of,
    until,
    whole,
)
from rig import DONE, chunk, content_of, document, event, events_of, text
from test_chat_request import NOT_JSON, WRONG

HELD_BYTES_MAX = 65_536  # of one stream in the process, by contract
KERNEL_BYTES_MAX = 131_072  # unsent or not acknowledged; the promise is "bounded", the kernel's defaults take megabytes
GROWN_BYTES_MAX = 8 << 20  # of a server that refuses a flood; allocators round up

Run = Callable[[Coroutine[Any, Any, Any]], Any]
both_loops = pytest.mark.parametrize("run", [run_virtual, on_uvloop], ids=["asyncio", "uvloop"])
leaving = pytest.mark.parametrize("leave", [Caller.leave, Caller.reset, Caller.half_close_and_leave], ids=["fin", "rst", "half-close"])

WORDS = [f" w{number:05}" for number in range(200)]
LARGE = [f" w{number:05}" + "x" * 1_000 for number in range(20_000)]  # 24 MB: more than the kernel's buffers on both sides take
FLOOD = text(*LARGE)
FRAMED_FLOOD = framed(*FLOOD)


def opened(*words: str) -> bytes:
    """A stream's head, opening and first words."""
    return SSE + framed(*text(*words))


async def cancelled(home: Gateway, caller: Caller, leave: Callable[[Caller], None], *, seconds_max: float = CANCELLED_SECONDS_MAX) -> None:
    """Let a client leave in the middle of its call; the vendor must be told in time."""
    line = home.vendor.lines[0]
    left_at = asyncio.get_running_loop().time()
    leave(caller)
    async with asyncio.timeout(seconds_max):
        await line.lost.wait()
    print(f"the vendor heard of it after {1_000 * (line.lost_at - left_at):.0f} ms")
    assert (await home.ended()).outcome == "client_gone"


# Clients that leave

HALF = post().index(b"\r\n\r\n")


@both_loops
@leaving
@pytest.mark.parametrize("sent", [9, 60, HALF + 4, HALF + 30], ids=["in the first line", "in a header", "before the body", "in the body"])
def test_a_client_that_leaves_within_its_request_never_made_one(run: Run, leave: Callable[[Caller], None], sent: int) -> None:
    """[C1] No vendor is asked, nothing is reported as a call, and nobody is answered."""

    async def main() -> None:
        async with gateway(says(stream_of("a"))) as home:
            caller = await home.client(post()[:sent])
            await until(lambda: home.server.connections_count == 1)
            leave(caller)
            await until(lambda: home.server.connections_count == 0)
            assert (home.vendor.lines, home.facts, bytes(caller.received)) == ([], [], b"")

    run(main())


@leaving
@pytest.mark.parametrize("streamed", [True, False])
def test_a_client_that_leaves_before_the_vendor_speaks_cancels_it(leave: Callable[[Caller], None], streamed: bool) -> None:
    """[C2] The vendor's connection is cut although nobody has yet read or written an answer."""

    async def main() -> None:
        async with gateway(says(hang)) as home:
            caller = await home.client(post(body(stream=streamed)))
            await until(lambda: len(home.vendor.asked) == 1)
            await cancelled(home, caller, leave)

    on_uvloop(main())


@leaving
def test_a_client_that_leaves_before_the_first_token_cancels_the_vendor(leave: Callable[[Caller], None]) -> None:
    """[C3] The vendor has sent its opening; no token is counted as the answer's."""

    async def main() -> None:
        async with gateway(says(opened(), hang)) as home:
            caller = await home.client(post())
            await until(lambda: home.vendor.lines != [] and home.vendor.lines[0].taken > 0)
            await cancelled(home, caller, leave)
            assert (home.calls[0].usage.output_tokens, home.calls[0].first_token_seconds) == (0, None)

    on_uvloop(main())


@leaving
@pytest.mark.parametrize("token", [1, 2, 57, 200])
def test_a_client_that_leaves_after_a_token_cancels_the_vendor(leave: Callable[[Caller], None], token: int) -> None:
    """[C4] Each token is given out only when the one before has arrived, so the count is exact."""

    async def main() -> None:
        async def one_by_one(line: VendorConnection) -> None:
            await line.send(opened())
            for word in WORDS[:token]:
                await line.send(framed(chunk({"content": word})))
                mark = word.encode()
                await until(lambda: mark in home.callers[0].received)  # noqa: B023  # it is called before the next round
            await hang(line)

        async with gateway(one_by_one) as home:
            caller = await home.client(post())
            await caller.until(WORDS[token - 1].encode())
            await cancelled(home, caller, leave)
            assert home.calls[0].usage.output_tokens == token

    on_uvloop(main())


@leaving
def test_a_client_that_leaves_a_burst_unread_cancels_the_vendor(leave: Callable[[Caller], None]) -> None:
    """[C5] Bytes wait everywhere on the way, and the reset is still noticed at once; most of the burst never left the vendor."""

    async def main() -> None:
        async with gateway(says(SSE, FRAMED_FLOOD, hang)) as home:
            caller = await home.client(post(), receive_bytes=4_096)
            await caller.until(WORDS[9].encode())
            await stuck(home.vendor.lines[0])
            taken = home.vendor.lines[0].taken
            await cancelled(home, caller, leave)
            assert taken < len(FRAMED_FLOOD) / 2

    on_uvloop(main())


@leaving
@pytest.mark.parametrize("last", [[], [chunk({}, "stop")]], ids=["the last token", "the finish reason"])
def test_a_client_that_leaves_before_the_end_mark_cancels_the_vendor(leave: Callable[[Caller], None], last: list[bytes]) -> None:
    """[C6] Having all it wanted does not make the call complete; where every choice has finished, a second is given to the report."""

    async def main() -> None:
        async with gateway(says(opened("one", "two"), framed(*last) if last else b"", hang)) as home:
            caller = await home.client(post())
            await caller.until(b'"two"')  # a finish is held back
            await cancelled(home, caller, leave, seconds_max=CANCELLED_SECONDS_MAX + (REPORT_SECONDS_MAX if last else 0))
            assert home.calls[0].usage.output_tokens == 2

    on_uvloop(main())


@both_loops
@pytest.mark.parametrize("streamed", [True, False])
def test_a_client_that_only_stops_sending_gets_all_of_its_answer(run: Run, streamed: bool) -> None:
    """[C7] A half-closed connection is a client that waits, before the answer's head and in the middle of it; with HTTP/1.0 it has left."""

    async def main() -> None:
        async def slow(line: VendorConnection) -> None:
            parts = [opened("a"), framed(chunk({"content": "b"})), framed(chunk({}, "stop"), DONE) + LAST]
            for part in parts if streamed else [plain(document("ab"))]:
                await asyncio.sleep(0.3)
                await line.send(part)

        async with gateway(slow) as home:
            caller = await home.client(post(body(stream=streamed)))
            caller.half_close()
            reply = await caller.reply()
            if streamed:
                assert content_of(whole(reply.body)) == "ab"
            else:
                assert reply.json["choices"][0]["message"]["content"] == "ab"
            assert await caller.read() == b""
            assert (await home.ended()).outcome == "completed"

    run(main())


# Clients that read slowly


async def stuck(line: VendorConnection) -> None:
    """Wait until the kernel takes no more of what the vendor says: for ten seconds, or half a second of real time."""
    seconds = 10.0 if isinstance(asyncio.get_running_loop(), asyncio.SelectorEventLoop) else 0.5
    taken = -1
    while taken != line.taken:
        taken = line.taken
        await asyncio.sleep(seconds)


@both_loops
def test_little_is_held_for_a_client_that_does_not_read(run: Run) -> None:
    """[C8][M18] The vendor is throttled; what it has said is in kernels, and at most 64 KiB of it in this process."""

    async def main() -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"  # no framing, so that bytes can be compared
        async with gateway(says(head, b"".join(FLOOD), hang)) as home:
            caller = await home.client(post(version="1.0"), receive_bytes=4_096)
            await caller.until(b" w00010")
            line = home.vendor.lines[0]
            await stuck(line)
            [reading], [writing] = ends_of(home.vendor.port), ends_of(caller.sock.getsockname()[1])
            with reading, writing:
                vendor_end = line.transport.get_extra_info("socket").fileno()
                unsent = queued(writing, termios.TIOCOUTQ)
                entered = line.taken - len(head) - queued(vendor_end, termios.TIOCOUTQ) - queued(reading, termios.FIONREAD)
            left = unsent + queued(caller.sock, termios.FIONREAD) + len(caller.received) - caller.received.index(b"data: ")
            print(f"{entered - left} bytes are held in the process, {unsent} in its kernel buffer; the vendor could say {line.taken}")
            assert 0 <= entered - left <= HELD_BYTES_MAX
            assert unsent <= KERNEL_BYTES_MAX
            assert line.taken < len(b"".join(FLOOD)) / 2

    run(main())


def test_a_slow_client_gets_every_chunk_in_order_however_long_it_takes() -> None:
    """[C8] It pauses for longer than the idle time-out, four times; the vendor's clock stands still meanwhile."""

    async def main() -> None:
        # Virtual time may run ahead of the kernel, so that a client would seem to have stalled.
        patient = {"client_stall_seconds": 86_400.0}
        async with gateway(says(SSE, FRAMED_FLOOD, framed(chunk({}, "stop"), DONE) + LAST), stream=patient) as home:
            caller = await home.client(post(), receive_bytes=4_096)
            for number in range(4):
                await caller.until(LARGE[10 * number + 9][:7].encode())
                await asyncio.sleep(90)
            reply = await caller.reply()
            assert content_of(reply.body) == "".join(LARGE)
            assert reply.body.endswith(DONE)
            ended = await home.ended()
            assert (ended.outcome, ended.usage.output_tokens) == ("completed", -(-len("".join(LARGE)) // 4))
            assert ended.total_seconds >= 360

    run_virtual(main())


def test_the_time_of_a_slow_client_is_not_the_vendors() -> None:
    """[C8] 90 seconds in which the client takes nothing, then 20 of the vendor's own, do not make a minute of its silence."""
    burst = FLOOD[:28]  # comes in one piece, and does not fit the kernel's buffers of a client that does not read

    async def main() -> None:
        taken = asyncio.Event()
        patient = {"client_stall_seconds": 86_400.0}
        async with gateway(says(SSE + framed(*burst), taken, 20.0, framed(chunk({}, "stop"), DONE) + LAST), stream=patient) as home:
            caller = await home.client(post(), receive_bytes=4_096)
            await caller.until(b" w00001")
            await asyncio.sleep(90)
            await caller.until(burst[-1])
            taken.set()
            whole((await caller.reply()).body)

    run_virtual(main())


def test_a_client_that_never_reads_again_is_cut() -> None:
    """[C9] After 300 seconds in which it took nothing, and not sooner; the vendor is let go and the stream has no proper end."""

    async def main() -> None:
        async with gateway(says(SSE, FRAMED_FLOOD, hang)) as home:
            caller = await home.client(post(), receive_bytes=4_096)
            await caller.until(b" w00010")
            await asyncio.sleep(295)
            assert (home.calls, home.vendor.open) == ([], 1)
            await asyncio.sleep(30)
            assert ((await home.ended()).outcome, home.vendor.open) == ("client_stalled", 0)
            assert not (await caller.rest()).endswith(LAST)

    run_virtual(main())


def test_a_client_that_does_not_read_its_finished_answer_is_cut() -> None:
    """[C9] The call has ended, and the connection does not stay for ever."""

    async def main() -> None:
        async with gateway(says(plain(document("x" * 8_000_000)))) as home:
            caller = await home.client(post(body()), receive_bytes=4_096)
            await caller.read(10)
            await asyncio.sleep(290)
            assert home.server.connections_count == 1
            await asyncio.sleep(320)
            assert home.server.connections_count == 0
            assert (await home.ended()).outcome == "client_gone"  # of what it never took

    run_virtual(main())


# Clients that send slowly, or without end


async def trickle(caller: Caller, data: bytes, *, size: int = 1, pause: float = 1.0) -> None:
    """Send a few bytes at a time until the server wants no more."""
    try:
        for at in range(0, len(data), size):
            await caller.send(data[at : at + size])
            await asyncio.sleep(pause)
    except OSError:
        pass


def test_headers_that_trickle_in_are_given_up_after_ten_seconds() -> None:
    """[C11] With 408, and a hundred such clients keep nobody else from being served."""

    async def main() -> None:
        async with gateway(says(stream_of("a"))) as home:
            slow = [await home.client() for _ in range(100)]
            trickling = [asyncio.create_task(trickle(caller, post())) for caller in slow]
            await asyncio.sleep(5)
            whole((await home.ask(post())).body)
            replies = [await caller.reply() for caller in slow]
            assert 10 <= asyncio.get_running_loop().time() < 12
            for caller, reply in zip(slow, replies, strict=True):
                failure(reply, 408, "request_timeout")
                assert await caller.rest() == b""
            for task in trickling:
                task.cancel()
            await asyncio.wait(trickling)
            assert len(home.vendor.asked) == 1

    run_virtual(main())


def test_a_connection_that_says_nothing_is_not_kept() -> None:
    """[C11] Ten seconds before the first request, 75 between two."""

    async def main() -> None:
        async with gateway(says(stream_of("a"))) as home:
            silent, caller = await home.client(), await home.client(post())
            await caller.reply()
            await silent.rest()
            assert 10 <= asyncio.get_running_loop().time() < 12
            await caller.rest()
            assert 75 <= asyncio.get_running_loop().time() < 78

    run_virtual(main())


def test_a_body_that_trickles_in_is_given_up() -> None:
    """[C12] After 20 seconds, with 408 and without asking anybody."""

    async def main() -> None:
        async with gateway(says(stream_of("a"))) as home:
            caller = await home.client(post()[: HALF + 4])
            trickling = asyncio.create_task(trickle(caller, post()[HALF + 4 :]))
            failure(await caller.reply(), 408, "request_timeout")
            assert 20 <= asyncio.get_running_loop().time() < 22
            assert await caller.rest() == b""
            await trickling
            assert home.vendor.lines == []

    run_virtual(main())


def test_a_body_that_comes_slowly_but_steadily_is_read() -> None:
    """[C12] 100 kB at 2 kB a second are a bad line and no attack."""

    async def main() -> None:
        async with gateway(says(stream_of("a"))) as home:
            caller = await home.client()
            await trickle(caller, post(body(stream=True, user="x" * 100_000)), size=2_000)
            whole((await caller.reply()).body)
            assert asyncio.get_running_loop().time() > 45

    run_virtual(main())


@pytest.fixture(scope="module")
def vendor_socket() -> Generator[socket.socket]:
    """An address on which a vendor listens whenever a test has one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, vendor_socket: socket.socket) -> Generator[Served]:
    """A server process that takes bodies of at most 1 MiB."""
    settings = {"server": {"port": 0, "body_bytes_max": 1 << 20}}
    with process(tmp_path_factory.mktemp("served"), vendor_socket.getsockname()[1], **settings) as running:
        yield running


async def flood(served: Served, start: bytes, piece: bytes, bytes_max: int) -> tuple[Caller, int]:
    """Send a start and then pieces until the server wants no more, or `bytes_max` have gone. Returns how many went."""
    caller = await connect(served.port)
    sent = 0
    try:
        await caller.send(start)
        while sent < bytes_max:
            await caller.send(piece)
            sent += len(piece)
    except OSError:
        pass
    return caller, sent


FLOODS = {
    "one endless header": (b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nx-a: ", b"a" * 65_536),
    "50,000 headers": (b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n", b"x-a: b\r\n" * 50_000),
    "an endless URL": (b"GET /", b"a" * 65_536),
    "an endless method": (b"", b"A" * 65_536),
    "an endless header name": (b"GET / HTTP/1.1\r\n", b"a" * 65_536),
}


@pytest.mark.parametrize(("start", "piece"), FLOODS.values(), ids=FLOODS)
def test_headers_without_end_are_refused_in_little_memory(served: Served, start: bytes, piece: bytes) -> None:
    """[C13] 32 MB are sent; the answer says which limit was passed, and the process does not grow."""
    before = served.resident_bytes()

    async def main() -> None:
        caller, _ = await flood(served, start, piece, 32 << 20)
        reply = await caller.reply()
        failure(reply, 431, "headers_too_large")
        assert await caller.rest() == b""
        caller.leave()

    on_uvloop(main())
    assert served.resident_bytes() - before < GROWN_BYTES_MAX


HUGE = {
    "announced": (post(b"", f"content-length: {1 << 30}").replace(b"content-length: 0\r\n", b""), bytes(1 << 16)),
    "in chunks": (post(b"", "transfer-encoding: chunked").replace(b"content-length: 0\r\n", b""), b"10000\r\n%b\r\n" % bytes(1 << 16)),
    "in one chunk": (post(b"", "transfer-encoding: chunked").replace(b"content-length: 0\r\n", b"") + b"ffffffff\r\n", bytes(1 << 16)),
}


@pytest.mark.parametrize(("start", "piece"), HUGE.values(), ids=HUGE)
def test_a_body_over_the_limit_is_refused_in_little_memory(served: Served, start: bytes, piece: bytes) -> None:
    """[C14] 64 MB are sent to a server that takes one; it answers, does not grow, and closes."""
    before = served.resident_bytes()

    async def main() -> None:
        caller, _ = await flood(served, start.replace(CLIENT_KEY.encode(), served.key.encode()), piece, 64 << 20)
        failure(await caller.reply(), 413, "request_too_large")
        assert await caller.rest() == b""
        caller.leave()

    on_uvloop(main())
    assert served.resident_bytes() - before < GROWN_BYTES_MAX


def test_clients_without_a_key_get_nothing_kept_however_much_they_send(served: Served) -> None:
    """[fault S1] Forty send 31 of 32 MiB and stop: each is answered 401 and closed, and the process has not grown by 8 MiB."""
    before = served.resident_bytes()
    start = post(b"", f"content-length: {32 << 20}", key=None).replace(b"content-length: 0\r\n", b"")

    async def main() -> None:
        callers: list[Caller] = []
        for _ in range(40):
            caller, sent = await flood(served, start, bytes(1 << 20), 31 << 20)
            assert sent >= 31 << 20
            callers.append(caller)
        assert served.resident_bytes() - before < 8 << 20
        for caller in callers:
            failure(await caller.reply(), 401, "missing_api_key")
            assert await caller.rest() == b""
            caller.leave()

    on_uvloop(main())
    assert served.resident_bytes() - before < 8 << 20


# Clients that send what another server might read otherwise


def raw(*headers: str, sent: bytes = b"") -> bytes:
    """A request with these headers, well authorised, and what follows them."""
    lines = [f"POST {CHAT} HTTP/1.1", "host: gateway", "content-type: application/json", f"authorization: Bearer {CLIENT_KEY}", *headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + sent


SECRET_REQUEST = post(body())
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body()), body())
SMUGGLING = {
    "both kinds of length": raw("content-length: 4", "transfer-encoding: chunked", sent=CHUNKED),
    "both, the other way round": raw("transfer-encoding: chunked", "content-length: 4", sent=CHUNKED),
    "two lengths": raw("content-length: 4", f"content-length: {len(body())}", sent=body()),
    "the same length twice": raw(*[f"content-length: {len(body())}"] * 2, sent=body()),
    "two lengths in one header": raw(f"content-length: {len(body())}, {len(body())}", sent=body()),
    "a signed length": raw(f"content-length: +{len(body())}", sent=body()),
    "a negative length": raw("content-length: -1", sent=body()),
    "a length in hexadecimal": raw(f"content-length: {len(body()):#x}", sent=body()),
    "a length beyond 64 bits": raw("content-length: 18446744073709551617", sent=body()),
    "an empty length": raw("content-length: ", sent=body()),
    "an unknown coding": raw("transfer-encoding: xchunked", sent=CHUNKED),
    "identity": raw("transfer-encoding: identity", f"content-length: {len(body())}", sent=body()),
    "chunked twice": raw("transfer-encoding: chunked, chunked", sent=CHUNKED),
    "chunked not last": raw("transfer-encoding: chunked, identity", sent=CHUNKED),
    "two codings in two headers": raw("transfer-encoding: chunked", "transfer-encoding: identity", sent=CHUNKED),
    "a coding with a vertical tab": raw("transfer-encoding: \x0bchunked", sent=CHUNKED),
    "a blank before the colon": raw("transfer-encoding : chunked", sent=CHUNKED),
    "a folded header": raw("x-a: b", " c", f"content-length: {len(body())}", sent=body()),
    "a folded coding": raw("transfer-encoding:", " chunked", sent=CHUNKED),
    "a bare line feed": raw(f"content-length: {len(body())}", sent=body()).replace(b"\r\n", b"\n"),
    "a line feed inside a header": raw(f"x-a: b\ncontent-length: {len(body())}", sent=body()),
    "a carriage return inside a header": raw("x-a: b\rc", f"content-length: {len(body())}", sent=body()),
    "a NUL inside a header": raw("x-a: b\0c", f"content-length: {len(body())}", sent=body()),
    "chunks in version 1.0": raw("transfer-encoding: chunked", sent=CHUNKED).replace(b"HTTP/1.1", b"HTTP/1.0"),
    "a chunk size that is none": raw("transfer-encoding: chunked", sent=b"xyz\r\n" + CHUNKED),
    "a chunk size with 0x": raw("transfer-encoding: chunked", sent=b"0x" + CHUNKED),
    "a negative chunk size": raw("transfer-encoding: chunked", sent=b"-" + CHUNKED),
    "a chunk size with a blank": raw("transfer-encoding: chunked", sent=b" " + CHUNKED),
    "a chunk size of 17 digits": raw("transfer-encoding: chunked", sent=b"1" + b"0" * 16 + b"\r\n"),
    "a chunk longer than it says": raw("transfer-encoding: chunked", sent=CHUNKED.replace(b"}\r\n0", b"}}\r\n0")),
    "a chunk that ends in a line feed": raw("transfer-encoding: chunked", sent=CHUNKED.replace(b"}\r\n0", b"}\n0")),
    "a size that ends in a line feed": raw("transfer-encoding: chunked", sent=CHUNKED.replace(b"\r\n", b"\n", 1)),
    "no host": raw(f"content-length: {len(body())}", sent=body()).replace(b"host: gateway\r\n", b""),
    "two hosts": raw("host: other", f"content-length: {len(body())}", sent=body()),
    "no version": b"POST /v1/chat/completions\r\n\r\n",
    "version 2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("request_bytes", SMUGGLING.values(), ids=SMUGGLING)
def test_a_request_with_two_readings_is_refused_and_the_connection_closed(request_bytes: bytes) -> None:
    """[C15] One answer, 400; what follows it on the connection is nobody's request, and no vendor is asked."""

    async def main() -> None:
        async with gateway(says(plain(document()))) as home:
            caller = await home.client(request_bytes + SECRET_REQUEST)
            failure(await caller.reply(), 400, "invalid_request")
            assert await caller.rest() == b""
            assert home.vendor.lines == []

    run_virtual(main())


@both_loops
def test_requests_sent_during_a_stream_wait_their_turn(run: Run) -> None:
    """[C16] The second call is not begun while the first is answered, and their bytes do not mix."""

    async def main() -> None:
        gate = asyncio.Event()
        streaming = says(opened("a"), gate, framed(chunk({"content": "b"}), chunk({}, "stop"), DONE) + LAST)
        async with gateway(in_turn(streaming, says(plain(document("second"))))) as home:
            pings = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n" * 2_000  # more than is read ahead
            caller = await home.client(post())
            sending = asyncio.create_task(caller.send(post(body()) + pings))
            await caller.until(b'"a"')
            assert len(home.vendor.asked) == 1
            gate.set()
            assert content_of(whole((await caller.reply()).body)) == "ab"
            assert (await caller.reply()).json["choices"][0]["message"]["content"] == "second"
            assert {(await caller.reply()).body for _ in range(2_000)} == {b'{"status":"live"}\n'}
            await sending
            assert len({call.request_id for call in home.calls}) == 2

    run(main())


def test_what_waits_behind_a_stream_is_bounded() -> None:
    """[C16] A client that goes on sending is made to wait by its own kernel."""

    async def main() -> None:
        async with gateway(says(opened("a"), hang)) as home:
            caller = await home.client(post())
            await caller.until(b'"a"')
            sent, before = 0, -1
            while sent != before:
                before = sent
                assert sent < len(FRAMED_FLOOD), "the server reads without end"
                with suppress(BlockingIOError):
                    while sent < len(FRAMED_FLOOD):
                        sent += caller.sock.send(bytes(65_536))
                await asyncio.sleep(1)
            [reading] = ends_of(caller.sock.getsockname()[1])
            with reading:
                held = sent - queued(caller.sock, termios.TIOCOUTQ) - queued(reading, termios.FIONREAD)
            print(f"{held} of {sent} bytes are held in the process")
            assert held <= 2 * HELD_BYTES_MAX
            caller.reset()
            await asyncio.sleep(6)  # while nothing is read the loop does not tell of a reset; the server looks for one every five seconds
            assert (await home.ended()).outcome == "client_gone"

    run_virtual(main())


def test_a_client_that_asks_whether_to_send_is_told_to() -> None:
    """[C17] 100 Continue comes before the body does, and the answer after it."""

    async def main() -> None:
        async with gateway(says(stream_of("a"))) as home:
            asking = post(body(stream=True), "expect: 100-continue")
            end = asking.index(b"\r\n\r\n") + 4
            caller = await home.client(asking[:end])
            await caller.until(b"HTTP/1.1 100 Continue\r\n\r\n")
            await caller.send(asking[end:])
            reply = await caller.reply()
            assert (reply.interim, whole(reply.body)) == ([100], reply.body)

    run_virtual(main())


@pytest.mark.parametrize("streamed", [True, False])
def test_a_client_of_version_1_0_gets_a_body_without_chunks(streamed: bool) -> None:
    """[C17] The end of the connection is the end of a stream; a document has its length."""

    async def main() -> None:
        async with gateway(says(stream_of("a") if streamed else plain(document()))) as home:
            reply = await home.ask(post(body(stream=streamed), version="1.0"))
            assert (reply.status, reply.header("transfer-encoding"), reply.header("connection")) == (200, None, "close")
            assert reply.framing == ("close" if streamed else "length")
            assert whole(reply.body) if streamed else reply.json

    run_virtual(main())


def test_other_methods_on_the_path_of_chat_are_told_which_one_it_takes() -> None:
    """[C17] 405 with Allow; HEAD without a body; OPTIONS is answered, for browsers; the connection stays usable."""

    async def main() -> None:
        async with gateway(says(stream_of("a"))) as home:
            caller = await home.client()
            for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"):
                await caller.send(f"{method} {CHAT} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
                reply = await caller.reply(to_head=method == "HEAD")
                assert reply.status == (204 if method == "OPTIONS" else 405)
                assert "POST" in (reply.header("allow") or "")
            await caller.send(post())
            whole((await caller.reply()).body)

    run_virtual(main())


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "zstd, gzip", "compress", "x-zstd"])
def test_a_body_that_is_compressed_otherwise_is_refused_and_not_unpacked(coding: str) -> None:
    """[C18] 415 for what is neither gzip nor zstd, or both; nobody is asked."""

    async def main() -> None:
        async with gateway(says(stream_of("a"))) as home:
            failure(await home.ask(post(gzip.compress(bytes(1 << 20)), f"content-encoding: {coding}")), 415, "unsupported_media_type")
            assert home.vendor.lines == []

    run_virtual(main())


REFUSALS = [
    (plain(b"{}", status="503 Busy"), 503, "1", None),
    (plain(b"{}", status="503 Busy", headers="retry-after: 7\r\n"), 503, "7", None),
    (plain(b"{}", status="529 Busy", headers="retry-after: 86400\r\n"), 503, "60", None),
    (plain(b"{}", status="429 Slow", headers="retry-after: 12\r\n"), 429, "12", None),
    (plain(b"{}", status="429 Slow", headers="retry-after: Wed, 21 Oct 2026 07:28:00 GMT\r\n"), 429, "1", None),
    (plain(b"{}", status="500 Oops"), 502, None, None),
    (plain(b"{}", status="401 No"), 502, None, "false"),
    (plain(b'{"error":{"code":"insufficient_quota","message":""}}', status="429 No"), 502, None, "false"),
]


@pytest.mark.parametrize(("answer", "status", "retry_after", "should_retry"), REFUSALS)
def test_a_client_is_told_whether_and_when_to_retry(answer: bytes, status: int, retry_after: str | None, should_retry: str | None) -> None:
    """[C22] Official clients retry by themselves, so what no retry can cure says so, and all else names a time of at most a minute."""

    async def main() -> None:
        async with gateway(says(answer)) as home:
            reply = await home.ask(post())
            told = (reply.status, reply.header("retry-after"), reply.header("x-should-retry"))
            assert told == (status, retry_after, should_retry)
            failure(reply, status, reply.json["error"]["code"])

    run_virtual(main())


# What a request may say


def test_no_body_that_is_not_strict_json_gets_past_the_door() -> None:
    """[J1][J2][J3][J4][J5] Each is refused with 400 on the one connection, which lives on, and no vendor is asked about any."""

    async def main() -> None:
        async with gateway(says(stream_of("a"))) as home:
            caller = await home.client()
            for bad in NOT_JSON.values():
                await caller.send(post(bad))
                failure(await caller.reply(), 400, "json_parse_error")
            assert home.vendor.lines == []
            await caller.send(post())
            whole((await caller.reply()).body)

    run_virtual(main())


def test_control_characters_in_text_are_carried_escaped() -> None:
    """[J6] NUL, escape and line separators reach the vendor as they were written, and the log stays one line a fact."""

    async def main() -> None:
        async with gateway(says(stream_of("a"))) as home:
            odd = "\0\x1b[31m\r\n\u2028\u0085\x7f"
            whole((await home.ask(post(body(stream=True, user=odd, metadata={odd: odd})))).body)
            asked = home.vendor.asked[0].json
            assert (asked["user"], asked["metadata"]) == (odd, {odd: odd})

    run_virtual(main())


CROWDED = json.dumps({"type": "text", "text": "a"}).encode()


@pytest.mark.parametrize("parts", [40_000, 400_000])
def test_a_body_of_very_many_values_does_not_hold_up_other_streams(parts: int) -> None:
    """[J7] It is answered or refused as too large, and a stream beside it loses nothing."""

    async def main() -> None:
        async def paced(line: VendorConnection) -> None:
            if len(line.asked[-1].body) > 100_000:
                await line.send(stream_of("large"))
                return
            await line.send(opened())
            for word in WORDS[:100]:
                await line.send(framed(chunk({"content": word})))
                await asyncio.sleep(0.01)
            await line.send(framed(chunk({}, "stop"), DONE) + LAST)

        async with gateway(paced) as home:
            caller = await home.client(post())
            await caller.until(WORDS[3].encode())
            crowd = b'{"model":"fast","stream":true,"messages":[{"role":"user","content":[' + b",".join([CROWDED] * parts) + b"]}]}"
            asking = asyncio.create_task(home.ask(post(crowd)))
            times: list[float] = []
            while WORDS[99].encode() not in caller.received:
                await caller.read(1_024)
                times.append(asyncio.get_running_loop().time())
            print(f"the longest pause of the other stream: {1_000 * max(b - a for a, b in pairwise(times)):.0f} ms")
            assert content_of(whole((await caller.reply()).body)) == "".join(WORDS[:100])
            reply = await asking
            assert reply.status == 200 if parts < 50_000 else failure(reply, 413, "request_too_large")

    on_uvloop(main())


def test_a_wrong_field_is_a_400_that_names_it() -> None:
    """[J8][J9][J11][J12] Every row of the parser's table says the same over a socket, on one connection."""

    async def main() -> None:
        async with gateway(says(stream_of("a"))) as home:
            caller = await home.client()
            for fields, code, param in WRONG:
                await caller.send(post(body(**fields)))
                assert failure(await caller.reply(), 400, code)["param"] == param
            for missing in ("model", "messages"):
                fields = {name: value for name, value in json.loads(body()).items() if name != missing}
                await caller.send(post(json.dumps(fields).encode()))
                assert failure(await caller.reply(), 400, "missing_parameter")["param"] == missing
            assert home.vendor.lines == []

    run_virtual(main())


def test_unknown_fields_and_odd_numbers_reach_the_vendor_as_they_came() -> None:
    """[J8][J11] What we do not act on is not ours to change: spelling of numbers, order, nulls."""
    odd = b'"x_new":{"b":1.50,"a":[1E2,-0.0]},"max_tokens":2147483648,"n":128,"stream":null,"seed":-9007199254740993'
    sent = b'{"model":"fast",%b,"messages":[{"role":"user","content":"Hi."}]}' % odd

    async def main() -> None:
        async with gateway(says(plain(document()))) as home:
            assert (await home.ask(post(sent))).status == 200
            assert odd in home.vendor.asked[0].body

    run_virtual(main())


@pytest.mark.parametrize("model", ["faster", "a/", "/", "aisa/none", "b/real-model", "embedded", "\u0130", "x" * 256, " fast"])
def test_a_model_that_is_not_there_is_a_404(model: str) -> None:
    """[J10] Whatever it is called; and nobody is asked."""

    async def main() -> None:
        async with gateway(says(stream_of("a"))) as home:
            error = failure(await home.ask(post(body(model=model))), 404, "unknown_model")
            assert (error["param"], home.vendor.lines) == ("model", [])
            assert len(error["message"]) < 1_000

    run_virtual(main())


def test_large_bodies_are_parsed_one_at_a_time() -> None:
    """[fault S15] Of several that come together, each begins when the one before is parsed, and all are answered."""

    async def main() -> None:
        read, body_of_them = body_reader(body_threads()), body(x="y" * 2_000_000)
        before = set(threading.enumerate())
        running = [asyncio.create_task(read(CHAT_DOOR, body_of_them)) for _ in range(5)]
        most = 0
        while not all(task.done() for task in running):
            most = max(most, len(set(threading.enumerate()) - before))
            await asyncio.sleep(0)
        assert most == PARSES_MAX == 1
        assert {task.result().model for task in running} == {"fast"}

    on_uvloop(main())


def test_a_huge_name_does_not_hold_up_everybody() -> None:
    """[J10][A4] A model's name of 9 MB is refused for less than a second of this process's CPU, client and server together."""

    async def main() -> None:
        async with gateway(says(stream_of("a"))) as home:
            request = post(body(model="mödel" * 1_500_000))
            began = time.process_time()
            reply = await home.ask(request)
            seconds = time.process_time() - began
            print(f"refused for {seconds:.2f} s of CPU")
            assert reply.status in (400, 404)
            assert seconds < 1

    on_uvloop(main())


# Requests that name other hosts

dialled: list[Any] = []
watching = [False]


def watch(name: str, arguments: tuple[Any, ...]) -> None:
    """Note every connection that this process opens and every name that it looks up."""
    if watching[0] and name in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request"):
        dialled.append(arguments[1] if name == "socket.connect" else arguments[:2])


sys.addaudithook(watch)

INTERNAL = [
    "http://127.0.0.1:{port}/",
    "http://localhost:{port}/",
    "http://2130706433:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0x7f000001:{port}/",
    "http://127.1:{port}/",
    "http://[::1]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://user:password@127.0.0.1:{port}/",
    "http://example.com@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/",
    "http://169.254.169.254/latest/meta-data/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/_GET",
    "//127.0.0.1:{port}/",
    "data:text/html;base64,aGk=",
]


@pytest.mark.parametrize("form", ["string", "object"])
def test_the_addresses_in_a_request_are_carried_and_never_visited(form: str) -> None:
    """[S1] The process opens no connection but those to its vendor and from its client; a listener at the address hears nothing."""
    heard: list[Any] = []

    async def main() -> None:
        canary = await asyncio.start_server(lambda reader, writer: heard.append(writer), "127.0.0.1", 0)
        port = canary.sockets[0].getsockname()[1]
        async with gateway(says(plain(document()))) as home:
            watching[0] = True
            for url in (url.format(port=port) for url in INTERNAL):
                image = {"type": "image_url", "image_url": url if form == "string" else {"url": url, "detail": "low"}}
                parts = [{"type": "text", "text": url}, image, {"type": "input_audio", "input_audio": {"data": url, "format": "wav"}}]
                reply = await home.ask(post(body(messages=[{"role": "user", "content": parts}])))
                assert reply.status == 200
                assert home.vendor.asked[-1].json["messages"][0]["content"][1]["image_url"]["url"] == url
            assert set(dialled) == {("127.0.0.1", home.port), ("127.0.0.1", home.vendor.port)}
        canary.close()

    try:
        run_virtual(main())
    finally:
        watching[0] = False
        dialled.clear()
    assert heard == []


def test_a_data_url_is_carried_unread_up_to_the_bodys_limit() -> None:
    """[S2] 8 MB of base64 that unpacks to anything at all pass byte for byte; a body over the limit is refused."""

    async def main() -> None:
        async with gateway(says(plain(document()))) as home:
            url = "data:image/svg+xml;base64," + "H4sIAAAA" * 1_000_000
            message = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}
            assert (await home.ask(post(body(messages=[message])))).status == 200
            assert home.vendor.asked[0].json["messages"] == [message]
            message["content"][0]["image_url"]["url"] = url * 5  # type: ignore[index]  # a mixed dict, known by heart
            failure(await home.ask(post(body(messages=[message]))), 413, "request_too_large")

    on_uvloop(main())  # large bodies are parsed in a thread, for which virtual time would not wait


# Who asks


class Shop:
    """A real key store whose clock a test sets."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_800_000_000.0
        self.database = open_database(str(folder), migrate)
        self.store = KeyStore(self.database, lambda: self.now, random.Random(7))


@pytest.fixture
def shop(tmp_path: Path) -> Generator[Shop]:
    """A key store with the client's key in it."""
    made = Shop(tmp_path)
    made.store.import_key("client", CLIENT_KEY)
    yield made
    made.database.close()


AUTHORIZATIONS = {
    "none": ([], "missing_api_key"),
    "empty": (["authorization: "], "missing_api_key"),
    "a scheme alone": (["authorization: Bearer"], "missing_api_key"),
    "a scheme and blanks": (["authorization: Bearer    "], "missing_api_key"),
    "a key without scheme": ([f"authorization: {CLIENT_KEY}"], "missing_api_key"),
    "another scheme": ([f"authorization: Basic {CLIENT_KEY}"], "missing_api_key"),
    "a scheme that only begins alike": ([f"authorization: Bearers {CLIENT_KEY}"], "missing_api_key"),
    "a tab for a blank": ([f"authorization: Bearer\t{CLIENT_KEY}"], "missing_api_key"),
    "a key with blanks": (["authorization: Bearer My API Key"], "invalid_api_key"),
    "something behind the key": ([f"authorization: Bearer {CLIENT_KEY} x"], "invalid_api_key"),
    "in quotes": ([f'authorization: Bearer "{CLIENT_KEY}"'], "invalid_api_key"),
    "in capitals": ([f"authorization: Bearer {CLIENT_KEY.upper()}"], "invalid_api_key"),
    "but for its last character": ([f"authorization: Bearer {CLIENT_KEY[:-1]}"], "invalid_api_key"),
    "not ASCII": (["authorization: Bearer sk-caf\xe9-\xff"], "invalid_api_key"),
    "two headers": ([f"authorization: Bearer {CLIENT_KEY}"] * 2, "invalid_api_key"),
    "two headers, two schemes": (["authorization: Basic eDp5", f"authorization: Bearer {CLIENT_KEY}"], "missing_api_key"),
    "the vendor's header": ([f"x-api-key: {CLIENT_KEY}"], "missing_api_key"),
    "a cookie": ([f"cookie: key={CLIENT_KEY}"], "missing_api_key"),
    "60 kB": (["authorization: Bearer " + "k" * 60_000], "invalid_api_key"),
}


@pytest.mark.parametrize(("headers", "code"), AUTHORIZATIONS.values(), ids=AUTHORIZATIONS)
def test_an_authorization_that_is_none_is_a_401(headers: list[str], code: str, shop: Shop) -> None:
    """[A1] One shape, one of two codes, a challenge, and no vendor is asked; the body is not looked at first."""

    async def main() -> None:
        async with gateway(says(stream_of("a")), keys=shop.store) as home:
            for data in (body(stream=True), b"no json"):
                reply = await home.ask(post(data, *headers, key=None))
                assert failure(reply, 401, code)["type"] == "authentication_error"
                assert reply.header("www-authenticate") == "Bearer"
            assert home.vendor.lines == []

    run_virtual(main())


def test_a_key_of_a_megabyte_is_refused_by_its_size(shop: Shop) -> None:
    """[A1] As any header of that size."""

    async def main() -> None:
        async with gateway(says(stream_of("a")), keys=shop.store) as home:
            caller = await home.client()
            await trickle(caller, post(key="k" * 1_000_000), size=100_000, pause=0)
            failure(await caller.reply(), 431, "headers_too_large")

    run_virtual(main())


@pytest.mark.parametrize("written", ["Bearer ", "bearer ", "BEARER ", "Bearer   "])
def test_a_valid_key_is_taken_whatever_the_case_of_its_scheme(written: str, shop: Shop) -> None:
    """[A1] HTTP compares schemes without case; more than one blank does no harm."""

    async def main() -> None:
        async with gateway(says(stream_of("a")), keys=shop.store) as home:
            whole((await home.ask(post(None, f"authorization: {written}{CLIENT_KEY}", key=None))).body)

    run_virtual(main())


def test_a_key_says_what_became_of_it_to_nobody_but_its_holder(shop: Shop) -> None:
    """[A3] Revoked and expired keys have codes of their own, from the next request on; a key that never was has the third."""

    async def main() -> None:
        _, first = shop.store.create("first")
        _, second = shop.store.create("second", expires_at=int(shop.now) + 60)
        async with gateway(says(stream_of("a")), keys=shop.store) as home:
            caller = await home.client()
            for secret in (first, second):
                await caller.send(post(key=secret))
                whole((await caller.reply()).body)
            shop.store.revoke("first")
            shop.now += 61
            for secret, code in [(first, "revoked_api_key"), (second, "expired_api_key"), (first[:-1] + "x", "invalid_api_key")]:
                await caller.send(post(key=secret))
                assert secret not in failure(await caller.reply(), 401, code)["message"]

    run_virtual(main())


# What must not get out

EVIL = "x\x1b[31m\u2028\u2029\x85 {}"
SPLIT = "1\r\nset-cookie: a=b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
NASTY = {
    "a model": post(body(model=SPLIT + EVIL)),
    "a model of a megabyte": post(body(model="m" * 1_000_000)),
    "a field's name": post(json.dumps({"model": "fast", "messages": [{"role": "user", "content": "x", "name": 5, SPLIT: 1}]}).encode()),
    "a flag": post(body(stream=SPLIT + EVIL)),
    "a user agent": post(body(model="none"), "user-agent: \x9b31m\xe2\x80\xa8 x"),
    "a request id": post(body(model="none"), "x-request-id: \xe2\x80\xa8\x9b31m"),
    "a long request id": post(body(model="none"), "x-request-id: " + "a" * 60_000),
    "a client's request id": post(body(model="none"), "x-client-request-id: {\"a\": 'b'}<script>"),
    "a path": post(body(), path="/v1/%0d%0aset-cookie:%20a=b/%1b[31m/\xe2\x80\xa8"),
    "a long path": post(body(), path="/v1/" + "é" * 50_000),
    "a model's path": b"GET /v1/models/%0d%0aset-cookie:%20a=b HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n",
    "a query": post(body(model="none"), path=CHAT + "?key=\x9b" + "q" * 1_000),
    "an origin": post(body(model="none"), "origin: http://a\xe2\x80\xa8b"),
    "a content type": post(body(), "content-type: \x9b31m" + "t" * 1_000).replace(b"content-type: application/json\r\n", b""),
    "a content coding": post(body(), "content-encoding: \x9b31m"),
    "a method": b"FROBNICATE / HTTP/1.1\r\nhost: x\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", NASTY.values(), ids=NASTY)
def test_what_a_client_writes_splits_neither_an_answer_nor_a_line_of_the_log(request_bytes: bytes, served: Served) -> None:
    """[A4] One clean head comes back with a request id of ours, and one more line is in the log, which is one JSON object."""

    async def main() -> None:
        caller = await connect(served.port)
        before = served.log.read_bytes()
        await caller.send(request_bytes.replace(CLIENT_KEY.encode(), served.key.encode()).replace(b"{key}", served.key.encode()))
        reply = await caller.reply()
        caller.half_close()
        assert await caller.rest() == b""
        caller.leave()
        failure(reply, reply.status, reply.json["error"]["code"])
        request_id = reply.header("x-request-id") or ""
        assert reply.header("set-cookie") is None
        await until(lambda: request_id.encode() in served.log.read_bytes()[len(before) :].rpartition(b"\n")[0])
        new = served.log.read_bytes()[len(before) :].rpartition(b"\n")[0] + b"\n"
        assert new.endswith(b"\n")
        [line] = new[:-1].split(b"\n")
        assert json.loads(line)["request_id"] == request_id

    on_uvloop(main())


ECHO = f"Bad key {VENDOR_KEY} for Bearer {VENDOR_KEY} at http://127.0.0.1:1/v1 and "


def refusal(status: int, **members: str) -> bytes:
    """A vendor's error."""
    return plain(json.dumps({"error": {"message": ECHO, **members}}).encode(), status=f"{status} No")


ECHOING = {
    "401": refusal(401),
    "400": refusal(400, param="model"),
    "429": refusal(429).replace(b"content-length", b"retry-after: %b\r\ncontent-length" % VENDOR_KEY.encode()),
    "500 that is no JSON": plain(ECHO.encode(), status="500 No", kind="text/html"),
    "404 that is a text": plain(json.dumps({"error": ECHO}).encode(), status="404 No"),
    "a redirect": plain(ECHO.encode(), status="302 Found", headers=f"location: http://127.0.0.1:1/{VENDOR_KEY}\r\n"),
    "an error in the stream": SSE + framed(*text("a"), event({"error": {"message": ECHO}})) + LAST,
    "an error first in the stream": SSE + framed(event({"error": {"message": ECHO}})) + LAST,
    "an event that is no JSON": SSE + framed(*text("a"), b"data: " + ECHO.encode() + b"\n\n") + LAST,
    "a document that is none": plain(ECHO.encode()),
    "a garbled head": ECHO.encode() + b"\r\n\r\n",
    "a garbled header": b"HTTP/1.1 200 OK\r\n" + ECHO.encode() + b"\r\n\r\n",
    "headers": plain(b"{}", status="400 No", headers=f"x-echo: {ECHO}\r\nset-cookie: a={VENDOR_KEY}\r\n"),
}


async def leaks(answer: bytes, served: Served, vendor_socket: socket.socket) -> list[tuple[str, str]]:
    """Let the vendor answer a streamed and an unstreamed call so, and return where which secret can be read afterwards."""
    vendor = ScriptedVendor(says(answer))
    await vendor.listen(vendor_socket)
    before, said = len(served.log.read_bytes()), b""
    for streamed in (True, False):
        caller = await connect(served.port)
        await caller.send(post(body(stream=streamed), key=served.key))
        await caller.reply()
        said += bytes(caller.received)
        caller.leave()
    assert ("authorization", f"Bearer {VENDOR_KEY}") in vendor.asked[0].headers
    await vendor.close()
    await until(lambda: served.log.read_bytes()[before:].count(b'"type":"call"') == 2)
    told = {"answers": said, "log": served.log.read_bytes()[before:], "command line": served.command_line()}
    secrets = {"our key": VENDOR_KEY, "the client's key": served.key, "the prompt": PROMPT}
    found = [(where, name) for where, written in told.items() for name, secret in secrets.items() if secret.encode() in written]
    return [*found, ("answers", "an address")] if b"127.0.0.1" in said else found


@pytest.mark.parametrize("answer", ECHOING.values(), ids=ECHOING)
def test_a_vendor_that_repeats_our_key_does_not_publish_it(answer: bytes, served: Served, vendor_socket: socket.socket) -> None:
    """[A5][A6] Neither key nor address nor prompt comes back to the client or is logged, although the vendor got and said it all."""
    assert on_uvloop(leaks(answer, served, vendor_socket)) == []


@pytest.mark.parametrize(
    "answer", [refusal(400, **{member: VENDOR_KEY}) for member in ("code", "type", "param")], ids=["code", "type", "param"]
)
def test_a_vendor_that_repeats_our_key_in_an_odd_place_does_not_publish_it(
    answer: bytes, served: Served, vendor_socket: socket.socket
) -> None:
    """[A6] Every member of its error is as suspect as the message."""
    assert on_uvloop(leaks(answer, served, vendor_socket)) == []


def test_what_is_on_disk_holds_no_secret(served: Served) -> None:
    """[A5] Neither the vendor's key nor the client's, only its digest, is in the data folder; only this user can read it."""
    files = [path for path in served.data.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert not {secret for secret in (VENDOR_KEY, served.key, served.key[8:44]) if secret.encode() in path.read_bytes()}
        assert path.stat().st_mode & 0o077 == 0


def test_a_vendor_that_quotes_the_prompt_does_not_put_it_in_the_log() -> None:
    """[A5] The check is the gateway's own, when it closes."""

    async def main() -> None:
        words = json.dumps({"error": {"message": f"This prompt is not wanted: {PROMPT}", "type": "invalid_request_error"}})
        async with gateway(says(plain(words.encode(), status="400 Bad"))) as home:
            failure(await home.ask(post()), 400, "invalid_request")

    run_virtual(main())


def test_nothing_of_the_clients_headers_reaches_the_vendor() -> None:
    """[A7] The vendor gets our headers and no others: no hop-by-hop ones, no addresses, no accounts, no cookies."""
    sent = """connection: close, x-secret; x-secret: 1; keep-alive: timeout=5; te: trailers; proxy-authorization: Basic eDp5; upgrade: h2c
        x-forwarded-for: 10.0.0.1; x-forwarded-host: a; forwarded: for=10.0.0.1; x-real-ip: 10.0.0.1; via: 1.1 a; host-override: b
        openai-organization: org-1; openai-project: proj-1; openai-beta: x; x-stainless-lang: python; x-stainless-retry-count: 0
        cookie: a=b; user-agent: curl; accept-encoding: gzip; accept: */*; x-api-key: k; api-key: k; anthropic-version: 1
        idempotency-key: 1; x-request-id: mine; traceparent: 00-1-1-00; origin: http://a; referer: http://a; range: bytes=0-1"""

    async def main() -> None:
        async with gateway(says(stream_of("a"))) as home:
            headers = [header.strip() for header in sent.replace("\n", ";").split(";")]
            whole((await home.ask(post(None, *headers, path=CHAT + "?api-version=1"))).body)
            [asked] = home.vendor.asked
            assert asked.line == "POST /v1/chat/completions HTTP/1.1"
            assert sorted(name for name, _ in asked.headers) == sorted(
                ["host", "user-agent", "accept-encoding", "content-type", "accept", "authorization", "content-length"]
            )
            named = dict(asked.headers)
            assert named["host"] == f"127.0.0.1:{home.vendor.port}"
            assert named["authorization"] == f"Bearer {VENDOR_KEY}"
            assert named["user-agent"].startswith("aisa/")
            assert named["accept-encoding"] == "identity"
            assert events_of(b"") == []

    run_virtual(main())
