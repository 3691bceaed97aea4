"""What goes to a vendor and what is taken from it, byte by byte, on real sockets. Does not test who gets which connection."""

from __future__ import annotations

import asyncio

import pytest
from httptools import HttpResponseParser

from aisa import __version__
from aisa.errors import UpstreamFailed
from aisa.http.exchange import HEAD_BYTES_MAX, HEADER_LINES_MAX, INTERIM_ANSWERS_MAX, Exchange, Intake
from aisa.testing.clock import run_virtual
from aisa.timers import Timers
from http_client_rig import OK, STREAM_HEAD, Connection, Run, answering, both_loops, call, post, read_all, until, vendor

HEAD = b"HTTP/1.1 200 OK\r\n"
INTERIM = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
WHOLE = {
    "length": HEAD + b"Content-Length: 5\r\nX-A: 1\r\nx-a:  2 \r\n\r\nhello",
    "chunks": HEAD + b"Transfer-Encoding: Chunked\r\nX-A: 1\r\nx-a: 2\r\n\r\n3\r\nhel\r\n2;ext=1\r\nlo\r\n0\r\nx-a: trailer\r\n\r\n",
    "interim answer first": b"HTTP/1.1 100 Continue\r\nx-a: 0\r\n\r\n" + HEAD + b"content-length: 5\r\nx-a: 1\r\nx-a: 2\r\n\r\nhello",
    "end of connection": b"HTTP/1.0 200 OK\r\nx-a: 1\r\nx-a: 2\r\n\r\nhello",
}


class NoLine:
    """A connection that leads nowhere."""

    def __init__(self) -> None:
        self.whole: bool | None = None

    def pause(self) -> None:
        """Do nothing."""

    resume = abort = pause

    def release(self, *, whole: bool) -> None:
        """Note whether the answer was whole."""
        self.whole = whole


@both_loops
def test_the_request_is_one_post_with_exactly_these_bytes(run: Run) -> None:
    """Path is joined to the prefix, our headers and the caller's are sent once each, and the body follows."""

    async def scenario() -> None:
        seen: list[bytes] = []

        async def script(connection: Connection) -> None:
            seen.append(b"".join(await connection.request()))
            connection.send(OK)

        async with vendor(script) as (fake, upstream):
            headers = (("Authorization", "Bearer k"), ("X-Title", "caf\xe9"))
            answer = await upstream.ask(post(b'{"a":1}', headers=headers))
            answer.close()
        assert seen[0].split(b"\r\n") == [
            b"POST /v1/chat/completions HTTP/1.1",
            f"host: 127.0.0.1:{fake.port}".encode(),
            f"user-agent: aisa/{__version__}".encode(),
            b"accept-encoding: identity",
            b"authorization: Bearer k",
            b"x-title: caf\xe9",
            b"content-length: 7",
            b"",
            b'{"a":1}',
        ]

    run(scenario())


def test_callers_headers_replace_ours_but_never_those_that_frame_the_message() -> None:
    """An operator may set host and user-agent; a length, a coding or a connection header of theirs is left out."""

    async def scenario() -> None:
        heads: list[bytes] = []

        async def script(connection: Connection) -> None:
            heads.append((await connection.request())[0])
            connection.send(OK)

        async with vendor(script) as (_, upstream):
            names = ("Host", "User-Agent", "Content-Length", "Transfer-Encoding", "Connection", "Accept-Encoding")
            answer = await upstream.ask(post(headers=tuple((name, "9") for name in names)))
            answer.close()
        lines = heads[0].split(b"\r\n")[1:-2]
        assert lines == [b"host: 9", b"user-agent: 9", b"accept-encoding: identity", b"content-length: 2"]

    run_virtual(scenario())


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/a b", ()),
        ("/a\r\nx: y", ()),
        ("/caf\xe9", ()),
        ("/a", (("x", "1\r\ny: 2"),)),
        ("/a", (("x\n", "1"),)),
        ("/a", (("x", "1\r"),)),
        ("/a", (("x", "\u4e2d"),)),
    ],
)
def test_what_would_change_the_requests_framing_is_not_sent(path: str, headers: tuple[tuple[str, str], ...]) -> None:
    """A line break or space in path or headers raises ValueError, without the value in its text, and opens nothing."""

    async def scenario() -> None:
        async with vendor(answering(OK)) as (fake, upstream):
            with pytest.raises(ValueError, match=r"request|encode") as error:
                await upstream.ask(post(path=path, headers=headers))
            assert "y: 2" not in str(error.value)
            assert (len(fake.connections), repr(upstream)) == (0, "<HttpUpstream local 0 idle 0 in use>")

    run_virtual(scenario())


@both_loops
@pytest.mark.parametrize("whole", WHOLE.values(), ids=WHOLE)
def test_an_answer_that_arrives_byte_by_byte_is_the_same(run: Run, whole: bytes) -> None:
    """Status, headers and body do not depend on how the vendor's writes are cut; trailers and interim headers are not among them."""

    async def scenario() -> None:
        async def script(connection: Connection) -> None:
            await connection.request()
            for byte in whole:
                connection.send(bytes([byte]))
                await asyncio.sleep(0)

        async with vendor(script) as (_, upstream):
            answer = await upstream.ask(post())
            assert (answer.status, answer.headers["x-a"]) == (200, "1, 2")
            assert set(answer.headers) <= {"content-length", "transfer-encoding", "x-a"}
            assert await read_all(answer) == b"hello"
            assert await answer.read() == b""
            answer.close()

    run(scenario())


@pytest.mark.parametrize(("name", "kept"), [("X-Gemini-Service-Tier", True), ("X-Request-Id", False)])
def test_the_head_of_a_good_stream_is_kept_where_it_names_the_tier_that_is_billed(name: str, *, kept: bool) -> None:
    """Of others nobody asks, and a stream may last for hours."""

    async def scenario() -> None:
        async def script(connection: Connection) -> None:
            await connection.request()
            connection.send(HEAD + f"content-type: text/event-stream\r\n{name}: standard\r\ncontent-length: 2\r\n\r\n\n\n".encode())

        async with vendor(script) as (_, upstream):
            answer = await upstream.ask(post())
            assert await read_all(answer) == b"\n\n"
            assert answer.headers.get(name.lower()) == ("standard" if kept else None)
            answer.close()

    run_virtual(scenario())


@pytest.mark.parametrize("whole", WHOLE.values(), ids=WHOLE)
def test_an_answer_cut_in_two_anywhere_is_the_same(whole: bytes) -> None:
    """Every two-way split gives the same answer, and the connection may be kept unless its end was the answer's end."""

    async def scenario() -> None:
        for cut in range(len(whole) + 1):
            line = NoLine()
            intake = Intake()
            exchange = Exchange(line, Timers(), HttpResponseParser(intake), intake=intake, vendor="local", bytes_max=1024, kept=False)
            exchange.feed(memoryview(whole)[:cut])
            exchange.feed(memoryview(whole)[cut:])
            keeps = whole.startswith(b"HTTP/1.1")
            if not keeps:
                exchange.end(taken=False)
            await exchange.head()
            assert (exchange.headers["x-a"], await read_all(exchange)) == ("1, 2", b"hello")
            exchange.close()
            assert line.whole is keeps

    run_virtual(scenario())


@both_loops
@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"content-length: 6\r\n\r\nhello",
        HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\n6\r\nhello",
    ],
)
@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_body_that_is_cut_off_fails_after_what_arrived(run: Run, answer: bytes, how: str) -> None:
    """FIN or RST before the announced end is upstream_unavailable, never an end, and no invitation to repeat."""

    async def scenario() -> None:
        async def script(connection: Connection) -> None:
            await connection.request()
            connection.send(answer)
            await cut.wait()
            if how == "rst":
                connection.reset()

        cut = asyncio.Event()
        async with vendor(script) as (_, upstream):
            got = await upstream.ask(post())
            assert await got.read() == b"hello"
            cut.set()
            for _ in range(2):
                with pytest.raises(UpstreamFailed) as failure:
                    await got.read()
            assert (failure.value.error.code, failure.value.may_repeat) == ("upstream_unavailable", False)
            got.close()
            assert repr(upstream) == "<HttpUpstream local 0 idle 0 in use>"

    run(scenario())


REFUSED = {
    "not HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "impossible status": b"HTTP/1.1 099 What\r\n\r\n",
    "switched protocols": b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
    "long header": HEAD + b"x: " + b"a" * HEAD_BYTES_MAX + b"\r\ncontent-length: 0\r\n\r\n",
    "endless header": HEAD + b"x: " + b"a" * (2 * HEAD_BYTES_MAX),
    "many headers": HEAD + b"x: 1\r\n" * (HEADER_LINES_MAX + 1) + b"\r\n",
    "many interim answers": INTERIM * (INTERIM_ANSWERS_MAX + 1) + OK,
    "length and chunks": HEAD + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
    "negative length": HEAD + b"content-length: -1\r\n\r\n",
    "brotli": HEAD + b"content-encoding: br\r\ncontent-length: 0\r\n\r\n",
    "gzip transfer": HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "bad chunk size": HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
    "overlong chunk": HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nabc\r\n",
    "endless trailer": HEAD + b"transfer-encoding: chunked\r\n\r\n0\r\nx: " + b"a" * (2 * HEAD_BYTES_MAX),
    "endless chunk extension": HEAD + b"transfer-encoding: chunked\r\n\r\n2;" + b"a" * (2 * HEAD_BYTES_MAX),
    "too large": HEAD + b"content-length: 2000\r\n\r\n" + b"a" * 2000,
    "too large in chunks": HEAD + b"transfer-encoding: chunked\r\n\r\n" + b"64\r\n" + b"a" * 100 + b"\r\n",
}


@both_loops
@pytest.mark.parametrize("answer", REFUSED.values(), ids=REFUSED)
def test_an_answer_that_we_do_not_take_is_a_gateway_error(run: Run, answer: bytes) -> None:
    """Bad framing, floods, codings and bodies over the limit fail with gateway_error, name no address, and end the connection."""

    async def scenario() -> None:
        async def script(connection: Connection) -> None:
            await connection.request()
            while not connection.writer.is_closing():
                connection.send(answer)
                await connection.writer.drain()
                if not answer.endswith(b"a\r\n"):
                    await connection.gone()

        async with vendor(script, answer_bytes_max=1024) as (fake, upstream):
            with pytest.raises(UpstreamFailed) as failure:
                await call(upstream)
            error = failure.value.error
            assert (error.code, failure.value.may_repeat) == ("gateway_error", False)
            assert error.message.startswith("The vendor 'local' sent ")
            assert str(fake.port) not in error.message
            await until(lambda: fake.connections[0].lost)
            assert repr(upstream) == "<HttpUpstream local 0 idle 0 in use>"

    run(scenario())


def test_what_arrived_before_a_bad_chunk_is_delivered_first() -> None:
    """A violation ends the connection at once, but does not swallow the good bytes before it."""

    async def scenario() -> None:
        async with vendor(answering(STREAM_HEAD + b"2\r\nok\r\nzz\r\n")) as (fake, upstream):
            answer = await upstream.ask(post())
            await until(lambda: fake.connections[0].lost)
            assert await answer.read() == b"ok"
            with pytest.raises(UpstreamFailed):
                await answer.read()
            answer.close()

    run_virtual(scenario())


def test_ten_interim_answers_a_hundred_headers_and_64_kib_of_them_are_taken() -> None:
    """The limits themselves are allowed."""

    async def scenario() -> None:
        filler = b"x: %b\r\n" % (b"a" * 630)
        head = HEAD + filler * (HEADER_LINES_MAX - 1) + b"content-length: 2\r\n\r\nok"
        async with vendor(answering(INTERIM * INTERIM_ANSWERS_MAX + head)) as (_, upstream):
            assert await call(upstream) == (200, b"ok")
            assert upstream.statistics().idle == 1

    run_virtual(scenario())


def test_an_event_stream_may_be_longer_than_the_limit_of_a_document() -> None:
    """answer_bytes_max bounds what we must hold whole, not what we relay."""

    async def scenario() -> None:
        async def script(connection: Connection) -> None:
            await connection.request()
            connection.send(STREAM_HEAD + (b"400\r\n" + b"a" * 1024 + b"\r\n") * 200)
            await read.wait()
            connection.send(b"1")
            await asyncio.sleep(1)  # so that framing arrives with no body beside it
            connection.send(b"\r\nb\r\n0\r\n\r\n")

        read = asyncio.Event()
        async with vendor(script, answer_bytes_max=1024) as (_, upstream):
            answer = await upstream.ask(post())
            size = 0
            while size < 200 * 1024:
                size += len(await answer.read())
            read.set()
            assert await read_all(answer) == b"b"
            answer.close()

    run_virtual(scenario())


@both_loops
@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_an_answer_that_cannot_have_a_body_ends_with_its_head(run: Run, status: bytes) -> None:
    """204 and 304 are over at the blank line, whatever length they state, and the connection is kept."""

    async def scenario() -> None:
        async with vendor(answering(b"HTTP/1.1 " + status + b"\r\ncontent-length: 9\r\n\r\n")) as (fake, upstream):
            for _ in range(2):
                assert await call(upstream) == (int(status[:3]), b"")
            assert len(fake.connections) == 1

    run(scenario())


def test_a_redirect_is_an_answer_like_any_other() -> None:
    """A 3xx status is returned; nothing else is asked."""

    async def scenario() -> None:
        moved = b"HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
        async with vendor(answering(moved)) as (fake, upstream):
            assert await call(upstream) == (307, b"")
            assert [connection.received for connection in fake.connections] == [1]

    run_virtual(scenario())
