"""What a client of the HTTP server sees when both sides keep the rules: requests and their replies."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import pytest

from aisa.errors import CODES
from aisa.http.server import Reply, Request
from aisa.testing.clock import run_virtual
from aisa.wire.port import Client as Port
from http_server_rig import Run, Script, both_loops, echo, get, post, serving

CHUNKED = b"POST / HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n"


def answering(body: bytes, *, status: int = 200, length: bool = True, headers: list[tuple[str, str]] | None = None) -> Script:
    """A script that sends `body`, in pieces of four bytes if its length is not told."""

    async def script(request: Request, reply: Reply) -> None:
        reply.start(status, headers or [], len(body) if length else None)
        step = len(body) if length else 4
        for at in range(0, len(body), step or 1):
            reply.write(body[at : at + step])
        reply.end()

    return script


# Requests


@both_loops
def test_a_request_arrives_as_it_was_sent(run: Run) -> None:
    """Method, path, query, body and version reach the app; header names in lower case, repeats joined, values trimmed."""

    async def scenario() -> None:
        async with serving() as served:
            client = await served.connect()
            answer = await client.ask(post(b"{}", "/v1/x%20y?a=1?b", "X-A: 1\r\nx-a:\t2 \r\nAccept: */*\r\n"))
            headers = {"host": "test", "x-a": "1, 2", "accept": "*/*", "content-length": "2"}
            expected = {"method": "POST", "path": "/v1/x%20y", "query": "a=1?b", "headers": headers, "body": "{}", "version": "1.1"}
            assert answer.json == expected

    run(scenario())


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [("http://elsewhere/v1?q", "/v1", "q"), ("https://elsewhere:1", "/", ""), ("http://elsewhere?q", "/", "q"), ("*", "*", "")],
)
def test_a_target_in_a_proxys_form_is_the_same_path(target: str, path: str, query: str) -> None:
    """The authority of an absolute target is dropped; an asterisk stays."""

    async def scenario() -> None:
        async with serving() as served:
            client = await served.connect()
            answer = await client.ask(get().replace(b"GET /", f"OPTIONS {target}".encode()))
            assert (answer.json["path"], answer.json["query"]) == (path, query)

    run_virtual(scenario())


@both_loops
def test_one_connection_serves_many_requests(run: Run) -> None:
    """A connection is kept after a reply, with a body or without, and old clients' empty line between requests is ignored."""

    async def scenario() -> None:
        async with serving() as served:
            client = await served.connect()
            for data in (get("/1"), post(b"two", "/2") + b"\r\n", get("/3"), b"\r\n" + post(b"", "/4")):
                assert (await client.ask(data)).status == 200
            assert [request.path for request in served.app.requests] == ["/1", "/2", "/3", "/4"]
            assert (served.server.connections_count, served.server.calls_count) == (1, 0)

    run(scenario())


@both_loops
def test_pipelined_requests_are_answered_in_order_and_one_at_a_time(run: Run) -> None:
    """The second of two requests sent together does not start before the first has ended."""

    async def scenario() -> None:
        running: list[str] = []
        seen: list[list[str]] = []

        async def script(request: Request, reply: Reply) -> None:
            running.append(request.path)
            seen.append(list(running))
            await asyncio.sleep(0.01)
            reply.start(200, [], None)
            reply.write(request.path.encode())
            await asyncio.sleep(0.01)
            running.remove(request.path)
            reply.end()

        async with serving(script) as served:
            client = await served.connect()
            client.send(get("/1") + CHUNKED.replace(b"POST /", b"POST /2") + b"1\r\nx\r\n0\r\n\r\n" + post(b"three", "/3") + get("/4"))
            assert [(await client.answer()).body for _ in range(4)] == [b"/1", b"/2", b"/3", b"/4"]
            assert seen == [["/1"], ["/2"], ["/3"], ["/4"]]
            assert [request.body for request in served.app.requests] == [b"", b"x", b"three", b""]

    run(scenario())


@both_loops
def test_a_flood_of_pipelined_requests_is_answered_to_the_last(run: Run) -> None:
    """Ten times more than is held while a call runs: reading stops and goes on as calls end, and no request is lost."""

    async def scenario() -> None:
        async def script(request: Request, reply: Reply) -> None:
            await asyncio.sleep(0)
            reply.start(200, [], len(request.query))
            reply.write(request.query.encode())
            reply.end()

        async with serving(script) as served:
            client = await served.connect()
            client.send(b"".join(get(f"/{'x' * 100}?{number}") for number in range(5_000)))
            assert [(await client.answer()).body for _ in range(5_000)] == [str(number).encode() for number in range(5_000)]

    run(scenario())


@both_loops
def test_a_chunked_body_is_joined_and_its_trailers_are_ignored(run: Run) -> None:
    """Chunks, their extensions and trailers become one plain body and no header."""

    async def scenario() -> None:
        async with serving() as served:
            client = await served.connect()
            client.send(CHUNKED + b"5;why=not\r\nhello\r\n00")
            client.send(b"6 ; x\r\n world\r\n000\r\nx-trailer: 1\r\n\r\n")
            answer = await client.answer()
            assert (answer.json["body"], "x-trailer" in answer.json["headers"]) == ("hello world", False)
            assert (await client.ask(get("/next"))).json["path"] == "/next"

    run(scenario())


@pytest.mark.parametrize("expected", ["100-Continue", "tea, 100-continue", " 100-continue\t", "100-continue\r\nexpect: 100-continue"])
@both_loops
def test_a_client_that_asks_first_is_told_to_go_on(run: Run, expected: str) -> None:
    """`Expect: 100-continue`, in a list as well, is answered before the body is sent, once; the reply follows the body."""

    async def scenario() -> None:
        async with serving() as served:
            client = await served.connect()
            head, _, _ = post(b"body", headers=f"Expect: {expected}\r\n").partition(b"body")
            assert (await client.ask(head)).status_line == "HTTP/1.1 100 Continue"
            client.send(b"bo")
            await asyncio.sleep(0)
            answer = await client.ask(b"dy")
            assert (answer.status, answer.json["body"]) == (200, "body")

    run(scenario())


def test_an_unknown_expectation_is_ignored() -> None:
    """No interim reply is sent for another `Expect`, nor to a body that has already arrived."""

    async def scenario() -> None:
        async with serving() as served:
            client = await served.connect()
            client.send(post(b"body", headers="expect: tea\r\n").removesuffix(b"dy"))
            await asyncio.sleep(1)
            assert (await client.ask(b"dy")).status == 200
            assert (await client.ask(post(b"body", headers="expect: 100-continue\r\n"))).status == 200

    run_virtual(scenario())


def test_an_upgrade_is_not_taken() -> None:
    """A request that offers an upgrade is answered as if it had not, and the connection goes on."""

    async def scenario() -> None:
        async with serving() as served:
            client = await served.connect()
            answer = await client.ask(post(b"body", headers="connection: upgrade\r\nupgrade: h2c\r\n"))
            assert (answer.status, answer.json["body"]) == (200, "body")
            assert (await client.ask(get("/next", "connection: Upgrade\r\nupgrade: websocket\r\n"))).json["path"] == "/next"

    run_virtual(scenario())


# Replies


@both_loops
def test_a_reply_of_known_length_says_it_and_one_of_unknown_length_is_chunked(run: Run) -> None:
    """Each write of a stream is one chunk; an empty write is none."""

    async def scenario() -> None:
        async def script(request: Request, reply: Reply) -> None:
            port: Port = reply
            port.start(200, [("x-a", "b")], 6 if request.path == "/length" else None)
            for piece in (b"abc", b"", b"def"):
                port.write(piece)
            assert port.bytes_sent == 6
            port.end()

        async with serving(script) as served:
            client = await served.connect()
            known = await client.ask(get("/length"))
            assert (known.headers["content-length"], known.headers["x-a"], known.body) == ("6", "b", b"abcdef")
            stream = await client.ask(get("/stream"))
            assert (stream.chunks, stream.body, "content-length" in stream.headers) == ([3, 3], b"abcdef", False)

    run(scenario())


@both_loops
def test_an_old_client_gets_a_stream_that_ends_with_the_connection(run: Run) -> None:
    """HTTP/1.0: no chunks, `connection: close`, and no Host is needed."""

    async def scenario() -> None:
        async with serving(answering(b"a stream of bytes", length=False)) as served:
            client = await served.connect()
            answer = await client.ask(b"GET / HTTP/1.0\r\n\r\n")
            assert (answer.body, answer.headers["connection"]) == (b"a stream of bytes", "close")
            assert "transfer-encoding" not in answer.headers

    run(scenario())


@pytest.mark.parametrize("length", [True, False])
def test_head_is_answered_with_the_same_headers_and_no_body(length: bool) -> None:
    """HEAD and GET differ only in the body, and the connection goes on."""

    async def scenario() -> None:
        async with serving(answering(b"some body", length=length), now=lambda: 0.0) as served:
            client = await served.connect()
            head = await client.ask(get().replace(b"GET", b"HEAD"), "HEAD")
            whole = await client.ask(get())
            assert (head.status, head.headers, whole.body) == (whole.status, whole.headers, b"some body")

    run_virtual(scenario())


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_has_none(status: int) -> None:
    """204 and 304 carry neither body nor its length, whatever the app writes."""

    async def scenario() -> None:
        async with serving(answering(b"ignored", status=status)) as served:
            client = await served.connect()
            for _ in range(2):
                answer = await client.ask(get())
                assert (answer.status, {"content-length", "transfer-encoding"} & set(answer.headers)) == (status, set())

    run_virtual(scenario())


def test_every_status_in_use_has_its_reason() -> None:
    """The status lines of all our errors read as HTTP names them."""

    async def scenario() -> None:
        async def script(request: Request, reply: Reply) -> None:
            reply.start(int(request.query), [], 0)
            reply.end()

        async with serving(script) as served:
            client = await served.connect()
            for status in sorted({200} | {status for status, _ in CODES.values()}):
                answer = await client.ask(get(f"/?{status}"))
                assert answer.status_line == f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"

    run_virtual(scenario())


def test_a_header_value_cannot_begin_another_header() -> None:
    """Line breaks, control characters and what is not ASCII become question marks, and nothing is lost or added."""

    async def scenario() -> None:
        headers = [("x-a", "1\r\nset-cookie: evil"), ("x-b", "tab\there \x00 \x7f é 日"), ("x-c", "fine ~")]
        async with serving(answering(b"", headers=headers)) as served:
            answer = await (await served.connect()).ask(get())
            assert (answer.headers["x-a"], answer.headers["x-b"]) == ("1??set-cookie: evil", "tab?here ? ? ? ?")
            assert set(answer.headers) == {"date", "x-a", "x-b", "x-c", "content-length"}

    run_virtual(scenario())


def test_the_date_is_told_to_the_second() -> None:
    """The `date` header follows the clock, in HTTP's form."""

    async def scenario() -> None:
        seconds = [784_111_776.9]
        async with serving(now=lambda: seconds[0]) as served:
            client = await served.connect()
            dates = []
            for second in (784_111_777.0, 784_111_777.9, 784_111_778.0, 1_709_164_800.0):
                seconds[0] = second
                dates.append((await client.ask(get())).headers["date"])
            first = "Sun, 06 Nov 1994 08:49:37 GMT"
            assert dates == [first, first, "Sun, 06 Nov 1994 08:49:38 GMT", "Thu, 29 Feb 2024 00:00:00 GMT"]

    run_virtual(scenario())


@both_loops
def test_a_connection_is_closed_when_either_side_asks_for_it(run: Run) -> None:
    """`connection: close` from the client, or `closes` set by the app, ends the connection after the reply and says so."""

    async def scenario() -> None:
        async def script(request: Request, reply: Reply) -> None:
            if request.path == "/last":
                reply.closes = True
            await echo(request, reply)

        async with serving(script) as served:
            for data in (get("/", "Connection: keep-alive, Close\r\n"), get("/last"), get("/last") + get("/never")):
                client = await served.connect()
                answer = await client.ask(data)
                assert (answer.status, answer.headers["connection"], await client.rest()) == (200, "close", b"")
            assert "/never" not in [request.path for request in served.app.requests]

    run(scenario())


@both_loops
@pytest.mark.parametrize("body", [b"longer than said", b"short"])
def test_a_body_that_is_not_as_long_as_said_cuts_the_connection(run: Run, body: bytes) -> None:
    """The client sees a broken reply and never a wrong one, and the loop is told of the bug."""

    async def scenario() -> None:
        async def script(request: Request, reply: Reply) -> None:
            reply.start(200, [], 8)
            reply.write(body)
            reply.end()

        async with serving(script) as served:
            client = await served.connect()
            client.send(get() + get())
            received = await client.rest()
            assert (b"longer" in received, received.count(b"HTTP/1.1")) == (False, int(body == b"short"))
            assert [word in served.complaints[0] for word in ("reply of 8 bytes", str(len(body)))] == [True, True]

    run(scenario())


@pytest.mark.parametrize(
    "misuse",
    [
        lambda reply: reply.write(b"x"),
        lambda reply: reply.end(),
        lambda reply: (reply.start(200, [], 0), reply.start(200, [], 0)),
        lambda reply: (reply.start(200, [], 0), reply.end(), reply.write(b"x")),
    ],
    ids=["write before start", "end before start", "start twice", "write after end"],
)
def test_a_reply_used_out_of_order_raises(misuse) -> None:
    """Each is a bug of the app and is refused rather than written."""

    async def scenario() -> None:
        async def script(request: Request, reply: Reply) -> None:
            misuse(reply)

        async with serving(script) as served:
            client = await served.connect()
            client.send(get("/", "connection: close\r\n"))
            await client.rest()
            assert "start" in served.complaints[0] or "end" in served.complaints[0]

    run_virtual(scenario())


@both_loops
def test_an_app_that_fails_before_its_reply_is_answered_for(run: Run) -> None:
    """An unexpected error, or no reply at all, becomes `internal_error` without its text; the loop is told, and the server goes on."""

    async def scenario() -> None:
        async def script(request: Request, reply: Reply) -> None:
            if request.path == "/raise":
                raise ValueError("secret")

        async with serving(script) as served:
            for path in ("/raise", "/return"):
                client = await served.connect()
                answer = await client.ask(get(path))
                assert (answer.status, answer.json["code"], "secret" in answer.json["message"]) == (500, "internal_error", False)
            assert served.complaints == ["secret", "the app returned without ending its reply"]
            assert served.server.calls_count == 0

    run(scenario())


@both_loops
def test_an_app_that_fails_within_its_reply_leaves_it_broken(run: Run) -> None:
    """A stream cut by our bug ends without its last chunk, so no client takes it for complete."""

    async def scenario() -> None:
        async def script(request: Request, reply: Reply) -> None:
            reply.start(200, [], None)
            reply.write(b"part")
            raise ValueError("bug")

        async with serving(script) as served:
            client = await served.connect()
            client.send(get())
            assert (await client.rest()).endswith(b"4\r\npart\r\n")
            assert served.complaints == ["bug"]

    run(scenario())
