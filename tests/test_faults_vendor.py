"""All that a vendor can do wrong, before its answer and in it, on real sockets. Rows in brackets are those of the fault catalogue."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import zlib
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest

from aisa.facts import CallEnded, VendorFailed
from aisa.http.names import Names
from aisa.testing.clock import run_virtual
from aisa.testing.conformance import check_stream
from faults_rig import (
    LAST,
    SSE,
    Caller,
    Gateway,
    Script,
    ScriptedVendor,
    VendorConnection,
    body,
    broken,
    failure,
    framed,
    gateway,
    hang,
    hang_up,
    in_turn,
    on_uvloop,
    plain,
    post,
    reset,
    says,
    stream_of,
    until,
    whole,
)
from ports import free_port
from rig import DONE, HEAD, OPENING, chunk, content_of, document, event, events_of, text, usage

MIB = 1 << 20
KERNEL_BYTES_MAX = 8 * MIB  # what the kernels of both sides take unread of a sender that is not read

both_loops = pytest.mark.parametrize("run", [run_virtual, on_uvloop], ids=["asyncio", "uvloop"])
either_way = pytest.mark.parametrize("streamed", [True, False], ids=["stream", "document"])


def now() -> float:
    """The loop's time in seconds; virtual ones begin at 0."""
    return asyncio.get_running_loop().time()


def refused(script: Script, status: int, code: str, *, streamed: bool = True, **settings: Any) -> Gateway:
    """Let the vendor do something for which the caller gets a plain error; the vendor is not left hanging."""

    async def main() -> Gateway:
        async with gateway(script, **settings) as home:
            failure(await home.ask(post(body(stream=streamed))), status, code)
            await until(lambda: home.server.calls_count == 0)
            assert [call.outcome for call in home.calls] == ["refused" if status == 400 else "failed"]  # by its caller's fault, or not
            return home

    return run_virtual(main())


def relayed(*steps: Any, **settings: Any) -> bytes:
    """Let the vendor answer a streamed call and return the body, which has a proper end as far as HTTP is concerned."""

    async def main() -> bytes:
        async with gateway(says(*steps), **settings) as home:
            reply = await home.ask(post())
            assert (reply.status, reply.framing) == (200, "chunked")
            return reply.body

    return run_virtual(main())


# Before the first byte


@either_way
def test_a_vendor_that_nobody_runs_is_a_502(streamed: bool) -> None:
    """[U1] The connection is refused, at once; the caller does not learn where."""
    home = refused(says(), 502, "upstream_unavailable", streamed=streamed, vendor={"base_url": f"http://127.0.0.1:{free_port()}"})
    assert home.calls[0].total_seconds < 1


def test_a_vendor_whose_name_does_not_resolve_is_a_502() -> None:
    """[U1] Whatever the resolver says."""

    async def no_such_name(_host: str) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def main() -> None:
        async with gateway(says(), vendor={"base_url": "http://vendor.test/v1"}, names=Names(no_such_name)) as home:
            failure(await home.ask(post()), 502, "upstream_unavailable")

    run_virtual(main())


def test_a_vendor_whose_name_cannot_be_one_is_a_502() -> None:
    """[U1] The operator's mistake is the vendor not being reachable, not a bug of ours."""
    refused(says(), 502, "upstream_unavailable", vendor={"base_url": f"http://{'a' * 64}.test/v1"})


@pytest.mark.parametrize("answers", [True, False], ids=["plain HTTP", "silence"])
def test_a_vendor_that_does_not_speak_tls_is_a_502(answers: bool) -> None:
    """[U1] Within the connect timeout of five seconds, whether it answers in clear or not at all."""

    async def main() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if answers:
                writer.write(plain(b"{}", status="400 Bad Request"))
            await reader.read(-1)
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server, gateway(says(), vendor={"base_url": f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"}) as home:
            failure(await home.ask(post()), 502, "upstream_unavailable")
            assert now() < 6

    run_virtual(main())


@pytest.mark.parametrize(
    ("streamed", "settings", "seconds"),
    [
        (False, {}, 600),
        (False, {"answer_timeout_seconds": 60.0}, 60),
        (True, {"stream": {"head_hold_seconds": 100.0}}, 60),
    ],
    ids=["document", "document, its own limit", "stream with a patient head"],
)
def test_a_vendor_that_accepts_and_never_answers_is_a_504(streamed: bool, settings: dict[str, Any], seconds: float) -> None:
    """[U2] When its time is over and not before; its connection is cut."""

    async def main() -> None:
        async with gateway(says(hang), **settings) as home:
            failure(await home.ask(post(body(stream=streamed))), 504, "upstream_timeout")
            assert seconds <= now() < seconds + 2
            await until(lambda: home.vendor.open == 0)

    run_virtual(main())


def test_a_stream_whose_vendor_never_answers_is_kept_alive_and_ends_with_an_error() -> None:
    """[U2] The head cannot wait for the vendor's time-out, so the failure is told inside: after 15 s a head, after 60 s the error."""

    async def main() -> None:
        async with gateway(says(hang)) as home:
            caller = await home.client(post())
            await caller.until(b": keep-alive\n\n")
            assert 15 <= now() < 17
            reply = await caller.reply()
            assert 60 <= now() < 62
            assert reply.body.count(b": keep-alive\n\n") == 3
            broken(reply.body, "upstream_timeout")

    run_virtual(main())


def test_a_vendor_that_never_answers_is_given_up_in_real_time_too() -> None:
    """[U2] On the loop that the server runs on, with a time-out of a third of a second."""

    async def main() -> None:
        async with gateway(says(hang), idle_timeout_seconds=0.3) as home:
            failure(await home.ask(post()), 504, "upstream_timeout")
            await until(lambda: home.vendor.open == 0)

    on_uvloop(main())


RETRY_AFTER = [
    ("7", "7"),
    ("100000", "60"),
    ("0", "1"),
    ("-5", "1"),
    ("1.5", "2"),
    ("Wed, 21 Oct 2026 07:28:00 GMT", "1"),
    ("", "1"),
    ("soon", "1"),
]
NO_NUMBERS = [pytest.param("\xb2", "1", id="a superscript"), pytest.param("9" * 400, "60", id="400 digits")]


@pytest.mark.parametrize(("said", "sent"), [*RETRY_AFTER, *NO_NUMBERS])
@pytest.mark.parametrize(("status", "code"), [(429, "upstream_rate_limit"), (503, "overloaded")])
def test_a_vendor_that_has_no_time_is_passed_on_with_a_sane_wait(said: str, sent: str, status: int, code: str) -> None:
    """[U3] Whatever it says, the caller gets a whole number of seconds from 1 to 60."""

    async def main() -> None:
        async with gateway(says(plain(b"{}", status=f"{status} Later", headers=f"retry-after: {said}\r\n"))) as home:
            reply = await home.ask(post())
            failure(reply, status, code)
            assert reply.header("retry-after") == sent

    run_virtual(main())


@either_way
@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_a_fault_of_our_account_is_a_502_and_an_alarm(status: int, streamed: bool) -> None:
    """[U4] Never the caller's 401; the operator's log is loud about it, and no retry is asked for."""
    home = refused(says(plain(b'{"error":{"message":"no"}}', status=f"{status} No")), 502, "upstream_unavailable", streamed=streamed)
    assert [fact.loud for fact in home.facts if isinstance(fact, VendorFailed)] == [True]


NO_ANSWERS = {
    "500 in HTML": plain(b"<html>oops</html>", status="500 Oops", kind="text/html"),
    "200 in HTML": plain(b"<html>hello</html>", kind="text/html"),
    "200 in HTML that says it is a stream": plain(b"<html>hello</html>", kind="text/event-stream"),
    "200 and nothing": plain(b""),
    "200 and null": plain(b"null"),
    "200 and half a document": plain(document()[:-20]),
    "200 and an empty object": plain(b"{}"),
    "200 without choices": plain(b'{"choices":[]}'),
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "206": plain(document(), status="206 Partial"),
    "304": b"HTTP/1.1 304 Not Modified\r\n\r\n",
}


@either_way
@pytest.mark.parametrize("answer", NO_ANSWERS.values(), ids=NO_ANSWERS)
def test_an_answer_that_is_none_is_a_502(answer: bytes, streamed: bool) -> None:
    """[U5] Nothing of it reaches the caller."""

    async def main() -> None:
        async with gateway(says(answer)) as home:
            reply = await home.ask(post(body(stream=streamed)))
            failure(reply, 502, reply.json["error"]["code"])
            assert b"html" not in reply.body

    run_virtual(main())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    """[U5] The address that it names hears nothing."""

    async def main() -> None:
        canary = ScriptedVendor(says(stream_of("a")))
        await canary.listen()
        headers = f"location: http://127.0.0.1:{canary.port}/v1/chat/completions\r\n"
        async with gateway(says(plain(b"", status=f"{status} Elsewhere", headers=headers))) as home:
            failure(await home.ask(post()), 502, "gateway_error")
            assert (len(home.vendor.asked), canary.lines) == (1, [])
        await canary.close()

    run_virtual(main())


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
def test_a_document_where_a_stream_was_asked_becomes_one(kind: str) -> None:
    """[U6] Whatever it calls itself; the client waits for events."""
    assert content_of(whole(relayed(plain(document("Hello."), kind=kind)))) == "Hello."


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
def test_a_stream_where_a_document_was_asked_is_a_502(kind: str) -> None:
    """[U6] It is not understood, and the call does not hang."""
    refused(says(stream_of("a").replace(b"text/event-stream", kind.encode())), 502, "gateway_error", streamed=False)


UPGRADE = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n"
MANY_HEADERS = b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: %b\r\n" % (number, b"y" * 80) for number in range(1_100)) + b"\r\n"
BAD_HEADS = {
    "noise": bytes(range(256)) * 40,
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "an impossible version": b"HTTP/9.9 200 OK\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "a header without colon": b"HTTP/1.1 200 OK\r\nhello\r\n\r\n",
    "a NUL in a header": b"HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n",
    "a length that is none": b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
    "100 KB of headers": MANY_HEADERS,
    "100 KB in one header": b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000 + b"\r\n\r\n",
    "2,000 headers": b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 2_000 + b"\r\n",
    "1,000 interim answers": b"HTTP/1.1 100 Continue\r\n\r\n" * 1_000,
    "a request": b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
}


@either_way
def test_an_upgrade_that_nobody_asked_for_is_a_502(streamed: bool) -> None:
    """[U7] Refused like any other answer that makes no sense, and nothing is raised into the loop."""
    refused(says(UPGRADE, hang), 502, "gateway_error", streamed=streamed)


@either_way
@pytest.mark.parametrize("head", BAD_HEADS.values(), ids=BAD_HEADS)
def test_a_head_that_is_not_http_is_a_502(head: bytes, streamed: bool) -> None:
    """[U7] At once, and the connection is not used again."""
    home = refused(says(head, hang), 502, "gateway_error", streamed=streamed)
    assert home.calls[0].total_seconds < 1


def test_a_head_without_end_is_a_502_before_much_of_it_is_read() -> None:
    """[U7] 64 MB are on their way; what is taken is what the kernels hold."""

    async def main() -> None:
        async with gateway(says(b"HTTP/1.1 200 OK\r\nx: ", *[b"y" * MIB] * 64)) as home:
            failure(await home.ask(post()), 502, "gateway_error")
            await until(lambda: home.vendor.open == 0)
            assert home.vendor.lines[0].written < KERNEL_BYTES_MAX

    on_uvloop(main())


def test_hints_before_the_answer_are_skipped() -> None:
    """[U7] A few interim answers are HTTP's good right."""
    assert whole(relayed(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n", stream_of("a")))


DEAD: dict[str, Script] = {
    "hangs up": says(hang_up),
    "resets": says(reset),
    "fails": says(plain(b"{}", status="500 Oops")),
    "is busy": says(plain(b"{}", status="429 Later")),
    "refuses us": says(plain(b"{}", status="401 No")),
    "is silent": says(hang),
    "talks nonsense": says(b"nonsense\r\n\r\n"),
    "fails in its first event": says(SSE, framed(event({"error": {"message": "no"}})), LAST),
    "ends before its first event": says(SSE + LAST),
    "is silent after its head": says(SSE, hang),
}


@pytest.mark.parametrize("dead", DEAD.values(), ids=DEAD)
def test_another_vendor_is_asked_as_long_as_nothing_was_said(dead: Script) -> None:
    """[U8] The caller sees one good answer under one id, and there is one call in the log, of two attempts."""

    async def main() -> None:
        async with gateway(dead, says(stream_of("a", "b")), stream={"head_hold_seconds": 100.0}) as home:
            reply = await home.ask(post())
            assert content_of(whole(reply.body)) == "ab"
            ended = await home.ended()
            assert (ended.outcome, ended.attempts, ended.target) == ("completed", 2, "b/real-model")
            assert {fact.request_id for fact in home.facts if isinstance(fact, CallEnded | VendorFailed)} == {reply.header("x-request-id")}
            assert home.vendors[0].asked[0].body == home.vendors[1].asked[0].body

    run_virtual(main())


@pytest.mark.parametrize("end", [says(reset), says(hang_up), says(LAST), says(hang), says(framed(event({"error": {"message": "no"}})))])
def test_no_other_vendor_is_asked_once_a_token_was_sent(end: Script) -> None:
    """[U8] Two halves of two answers are no answer."""

    async def main() -> None:
        async with gateway(says(SSE, framed(*text("a")), end), says(stream_of("b"))) as home:
            assert content_of((await home.ask(post())).body) == "a"
            assert home.vendors[1].lines == []

    run_virtual(main())


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        ({"message": "no"}, 502, "upstream_unavailable"),
        ({"message": "slow down", "code": "rate_limit_exceeded"}, 429, "upstream_rate_limit"),
        ({"message": "full", "type": "overloaded_error"}, 503, "overloaded"),
        ({"message": "too long", "code": "context_length_exceeded"}, 400, "context_length_exceeded"),
        ({"message": "late", "code": 504}, 504, "upstream_timeout"),
    ],
)
def test_an_error_in_the_first_event_is_a_plain_error(said: dict[str, Any], status: int, code: str) -> None:
    """[U9] With the status that it would have had before the stream, whether or not it is named as an error."""
    for name in (b"", b"event: error\n"):
        refused(says(SSE, framed(name + event({"error": said})), LAST), status, code)


def test_an_error_in_the_first_event_after_the_head_is_told_inside() -> None:
    """[U9] The head was committed after 15 seconds, so the status is gone."""
    sent = relayed(SSE, 20.0, framed(event({"error": {"message": "slow down", "code": "rate_limit_exceeded"}})), LAST)
    broken(sent, "upstream_rate_limit")


# In the stream


NOISE = {
    "nothing": b"",
    "comments": b": still here\n\n",
    "empty deltas": chunk({"content": ""}),
    "role chunks": chunk(dict(OPENING)),
    "unknown events": b"event: ping\ndata: {}\n\n",
    "chunks without choices": event({**HEAD, "choices": [], "x_progress": 5}),
}


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE)
def test_a_vendor_that_stops_in_the_middle_is_given_up_after_a_minute(noise: bytes) -> None:
    """[M1] Counted from its last token, whatever else it sends; the client is told, and kept alive until then."""

    async def babble(line: VendorConnection) -> None:
        while True:
            await line.send(framed(noise) if noise else b"")
            await asyncio.sleep(7)

    async def main() -> None:
        async with gateway(says(SSE, framed(*text("a")), 30.0, framed(chunk({"content": "b"})), babble)) as home:
            reply = await home.ask(post())
            assert 90 <= now() < 92
            broken(reply.body, "upstream_timeout")
            assert content_of(reply.body) == "ab"
            await until(lambda: home.vendor.open == 0)

    run_virtual(main())


CUT = b"%x\r\n" % 1_000 + b"data: {"
UNTIL_CLOSE = SSE.replace(b"transfer-encoding: chunked\r\n", b"")
CUTS: dict[str, tuple[Any, ...]] = {
    "a FIN between chunks": (SSE, framed(*text("a")), hang_up),
    "a RST between chunks": (SSE, framed(*text("a")), 0.1, reset),
    "a FIN inside a chunk": (SSE, framed(*text("a")), CUT, hang_up),
    "a RST inside a chunk": (SSE, framed(*text("a")), CUT, 0.1, reset),
    "a FIN where that is the end": (UNTIL_CLOSE, *text("a"), hang_up),
    "a RST where a FIN is the end": (UNTIL_CLOSE, *text("a"), 0.1, reset),
    "a FIN after the finish reason, inside a chunk": (SSE, framed(*text("a"), chunk({"content": "b"})), CUT, hang_up),
    "a bad chunk size": (SSE, framed(*text("a")), b"zz\r\n", hang),
    "a chunk longer than it says": (SSE, framed(*text("a")), b"1\r\nabc\r\n", hang),
}


@pytest.mark.parametrize("steps", CUTS.values(), ids=CUTS)
def test_a_stream_that_is_cut_ends_with_an_error(steps: tuple[Any, ...]) -> None:
    """[M2] A cut is told in the stream, which then ends properly: it is never a bare cut, and never [DONE]."""
    sent = relayed(*steps)
    assert content_of(sent).startswith("a")
    code = json.loads(sent.split(b"data: ")[-1])["error"]["code"]
    assert code in ("upstream_unavailable", "gateway_error")
    broken(sent, code)


HALF_DOCUMENTS: dict[str, tuple[Any, ...]] = {
    "a FIN": (plain(document())[:-10], hang_up),
    "a RST": (plain(document())[:-10], 0.1, reset),
    "a FIN inside a chunk": (SSE.replace(b"text/event-stream", b"application/json"), CUT, hang_up),
}


@pytest.mark.parametrize("steps", HALF_DOCUMENTS.values(), ids=HALF_DOCUMENTS)
def test_a_document_that_is_cut_is_a_502(steps: tuple[Any, ...]) -> None:
    """[M2] Half a document is none."""
    refused(says(*steps), 502, "upstream_unavailable", streamed=False)


@pytest.mark.parametrize("more", [[], [usage(9, 1)], [chunk({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f"}}]})]])
def test_a_stream_without_finish_and_end_mark_is_a_failure(more: list[bytes]) -> None:
    """[M3] It ended well as far as HTTP is concerned, and the answer is still not complete."""
    broken(relayed(SSE, framed(*text("a"), *more), LAST), "upstream_unavailable")


@pytest.mark.parametrize("end", [(LAST,), (LAST, hang_up)], ids=["kept open", "closed"])
def test_a_missing_end_mark_is_supplied(end: tuple[Any, ...]) -> None:
    """[M4] The finish reason has said it all."""
    assert content_of(whole(relayed(SSE, framed(*text("a"), chunk({}, "stop")), *end))) == "a"


def test_a_missing_finish_reason_is_supplied() -> None:
    """[M5] The vendor's [DONE] says that it has finished."""
    sent = whole(relayed(SSE, framed(*text("a"), DONE), LAST))
    assert events_of(sent)[-2]["choices"][0]["finish_reason"] == "stop"


ERROR = {"error": {"message": "The engine fell over", "type": "server_error", "code": None}}
ERRORS = {
    "alone": event(ERROR),
    "named": b"event: error\n" + event(ERROR),
    "named, without wrapping": b"event: error\n" + event({"message": "no"}),
    "a text": event({"error": "no"}),
    "in a chunk with choices": event({**HEAD, **ERROR, "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]}),
    "inside a choice": event({**HEAD, "choices": [{"index": 0, "delta": {}, "error": ERROR["error"], "finish_reason": None}]}),
    "as finish reason": chunk({}, "error"),
    "without error": event({"detail": "no"}),
    "on a single line end": event(ERROR)[:-1] + DONE,
    "with a code that is a long number": event({"error": {"message": "no", "code": "4" * 100}}),
}


@pytest.mark.parametrize("said", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize(
    "after", [[], [DONE], [chunk({"content": "more"}), chunk({}, "stop"), DONE]], ids=["then nothing", "then done", "then more"]
)
def test_a_vendors_error_ends_the_stream_once_in_our_shape(said: bytes, after: list[bytes]) -> None:
    """[M6] Nothing follows it, no [DONE] either, and its words stay with us."""
    sent = relayed(SSE, framed(*text("a"), said, *after), LAST)
    assert "fell over" not in broken(sent, "upstream_unavailable")["message"]
    assert content_of(sent) == "a"


NO_JSON = {
    "cut": b'data: {"id":"chatcmpl-1","choices":[{"index":0,"del\n\n',
    "a text": b"data: hello\n\n",
    "single quotes": b"data: {'id': 1}\n\n",
    "NaN": b"data: NaN\n\n",
    "invalid UTF-8 in the text": chunk({"content": "b"}).replace(b'"b"', b'"\xff"'),
    "a control character in the text": chunk({"content": "b"}).replace(b'"b"', b'"\x01"'),
    "half an escape": chunk({"content": "b"}).replace(b'"b"', b'"\\ud8"'),
    "2,000 levels": b"data: " + b"[" * 2_000 + b"]" * 2_000 + b"\n\n",
    "100,000 levels": b'data: {"a":' * 1 + b"[" * 100_000 + b"\n\n",
    "a number": b"data: 5\n\n",
    "an array": b"data: []\n\n",
    "a NUL": b"data: \0\n\n",
}


@pytest.mark.parametrize(
    "said",
    [
        *[pytest.param(said, id=name) for name, said in NO_JSON.items()],
        pytest.param(chunk({"content": "b"}).replace(b'{"id"', b'{"x":"\xff","id"'), id="invalid UTF-8 elsewhere"),
    ],
)
def test_an_event_that_is_no_json_ends_the_stream_and_is_not_passed_on(said: bytes) -> None:
    """[M7] Official clients die of it; what came before has arrived."""
    sent = relayed(SSE, framed(*text("a"), said, chunk({}, "stop"), DONE), LAST)
    code = json.loads(sent.split(b"data: ")[-1])["error"]["code"]
    assert code in ("gateway_error", "upstream_unavailable")
    broken(sent, code)
    assert content_of(sent) == "a"


def odd(delta: object = None, **more: Any) -> bytes:
    """A chunk with one choice that is odd in some way."""
    return event({**HEAD, "choices": [{"index": 0, "delta": {"content": "b"} if delta is None else delta, "finish_reason": None, **more}]})


NONSENSE = {
    "choices that are null": event({**HEAD, "choices": [None]}),
    "an index that is true": odd(index=True),
    "an index that is a text": odd(index="0"),
    "a delta that is a list": odd(["b"]),
    "content that is a number": odd({"content": 5}),
    "content that is an object": odd({"content": {"text": "b"}}),
    "a finish reason that is a list": odd(finish_reason=["stop"]),
    "a finish reason that is true": odd(finish_reason=True),
    "logprobs that are a list": odd(logprobs=[1]),
    "a time that is false": event({**HEAD, "created": False, "choices": [{"index": 0, "delta": {"content": "b"}}]}),
    "choices that are missing": event({**HEAD, "choices": None, "x": 5}),
    "a tool call without a name": odd({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": ["f"]}]}),
    "a tool call and a legacy call": odd(
        {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f"}}], "function_call": {"name": "g"}}
    ),
    "a time beyond all times": event({**HEAD, "created": 10**30, "choices": [{"index": 0, "delta": {"content": "b"}}]}),
    "usage that is a text": event({**HEAD, "choices": [], "usage": "x"}),
    "usage beyond counting": event({**HEAD, "choices": [], "usage": {"prompt_tokens": -1, "completion_tokens": 10**30}}),
    "usage with details that are a list": event({**HEAD, "choices": [], "usage": {"prompt_tokens": 1, "prompt_tokens_details": [1]}}),
    "a tool's index that is a list": odd({"tool_calls": [{"index": [1], "id": "a", "function": {"name": "f", "arguments": ""}}]}),
    "a tool's index beyond counting": odd({"tool_calls": [{"index": 10**30, "id": "a", "function": {"name": "f", "arguments": ""}}]}),
    "a tool's name that is an object": odd({"tool_calls": [{"index": 0, "id": "a", "function": {"name": {"a": 1}, "arguments": [1]}}]}),
    "2,000 tool calls": odd({"tool_calls": [{"index": at, "id": f"a{at}", "function": {"name": "f"}} for at in range(2_000)]}),
    "a function call that is a list": odd({"function_call": [1]}),
    "a list of unequals": odd({"annotations": [{"a": 1}, 5, None]}),
    "x_groq that is a list": event({**HEAD, "choices": [], "x_groq": [1]}),
    "an error that is a list": event({"error": ["no"]}),
    "an error that is true": event({"error": True}),
    "an error of objects": event({"error": {"message": {"a": [1]}, "type": [1], "param": {}}}),
    "a code that is a huge number": event({"error": {"message": "no", "code": 10**30}}),
    "a code in other digits": event({"error": {"message": "no", "code": "٤٢٩"}}),
    "choices that are numbers": event({**HEAD, "choices": [1], "x": 1}),
    "an index that is false": odd(index=False),
    "an index that is a fraction": odd(index=-0.0),
    "usage with details that are texts": event(
        {**HEAD, "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens_details": {"reasoning_tokens": "x"}}}
    ),
    "a tool's function that is a text": odd({"tool_calls": [{"index": 0, "id": "a", "function": "f"}]}),
    "a tool's id that is a list": odd({"tool_calls": [{"id": ["x"], "function": {"name": "f"}}]}),
    "a code of 5,000 digits": event({"error": {"message": "no", "code": "9" * 5_000}}),
}


PLACES: dict[str, Callable[[bytes], list[bytes]]] = {
    "first": lambda said: [said, *text("a"), chunk({}, "stop"), usage(9, 1), DONE],
    "within": lambda said: [*text("a"), said, *text("b"), chunk({}, "stop"), usage(9, 1), DONE],
    "unfinished": lambda said: [*text("a"), said, DONE],
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("said", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_of_a_vendor_is_neither_a_bug_of_ours_nor_passed_on(said: bytes, place: Callable[[bytes], list[bytes]]) -> None:
    """[M6][M7][M17] Whatever JSON it sends, the stream goes on or ends with a failure of the vendor's, and keeps every rule."""

    async def main() -> None:
        async with gateway(says(SSE, framed(*place(said)), LAST)) as home:
            reply = await home.ask(post(body(stream=True, stream_options={"include_usage": True})))
            if reply.status == 200:
                assert check_stream(reply.body, include_usage=True) == []
                assert b"internal_error" not in reply.body
            else:
                failure(reply, 502, reply.json["error"]["code"])

    run_virtual(main())


STRANGE = ["né", "\u2028 \u0085", "😀", '"\\', "data: x\n\n", "\r\n", "event: error"]
EVENTS = [*text(*STRANGE), chunk({}, "stop"), DONE]
SPELLINGS: dict[str, Callable[[bytes], bytes]] = {
    "as OpenAI does": lambda one: one,
    "CR LF": lambda one: one.replace(b"\n", b"\r\n"),
    "CR": lambda one: one.replace(b"\n", b"\r"),
    "no blank": lambda one: one.replace(b"data: ", b"data:", 1),
    "comments": lambda one: b": hello\n" + one + b":\n\n",
    "ids": lambda one: b"id: 5\nretry: 10\n" + one,
    "names": lambda one: b"event: message\n" + one,
    "unknown fields": lambda one: b"foo: bar\nbaz\n" + one,
    "blank lines": lambda one: b"\n\n" + one + b"\n\n\n",
    "several lines": lambda one: one if b"[DONE]" in one else one.replace(b',"', b',\ndata: "'),
    "several lines with CR LF": lambda one: one if b"[DONE]" in one else one.replace(b',"', b',\ndata: "').replace(b"\n", b"\r\n"),
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"], ids=["", "BOM"])
def test_the_text_arrives_however_its_events_are_spelled_and_split(spell: Callable[[bytes], bytes], bom: bytes) -> None:
    """[M8][M10] In one packet, and a byte a packet: the client gets the same conformant bytes."""
    spelled = bom + b"".join(map(spell, EVENTS))

    async def bytewise(line: VendorConnection) -> None:
        await line.send(UNTIL_CLOSE)
        for byte in spelled:
            await line.send(bytes([byte]))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await hang_up(line)

    async def main() -> None:
        async with gateway(in_turn(says(UNTIL_CLOSE, spelled, hang_up), bytewise)) as home:
            sent = whole((await home.ask(post())).body)
            assert content_of(sent) == "".join(STRANGE)
            assert whole((await home.ask(post())).body) == sent

    run_virtual(main())


def test_no_split_of_the_bytes_changes_what_the_client_gets() -> None:
    """[M8] Two packets, cut at every place: in the middle of characters, of line ends, of chunk sizes."""
    answer = SSE + framed(*text("né😀"), chunk({}, "stop"), DONE).replace(b"\n\n", b"\n\n") + LAST
    cut = [len(SSE)]

    async def split(line: VendorConnection) -> None:
        await line.send(answer[: cut[0]])
        await until(lambda: line.transport.get_write_buffer_size() == 0)
        for _ in range(4):
            await asyncio.sleep(0)
        await line.send(answer[cut[0] :])

    async def main() -> None:
        async with gateway(split) as home:
            caller = await home.client()
            bodies = set()
            for cut[0] in range(1, len(answer)):
                await caller.send(post())
                bodies.add((await caller.reply()).body)
            [sent] = bodies
            assert content_of(whole(sent)) == "né😀"
            assert len(home.vendor.lines) == 1

    run_virtual(main())


@pytest.mark.parametrize("size", [3_000_000, 8_000_000])
def test_a_large_event_passes(size: int) -> None:
    """[M9] Inline images and audio come in events of megabytes."""

    async def main() -> None:
        async with gateway(says(stream_of("x" * size))) as home:
            assert content_of(whole((await home.ask(post())).body)) == "x" * size

    on_uvloop(main())


ENDLESS = {
    "in one line": framed(b"data: " + b"x" * (MIB - 6)),
    "in many lines": framed(b"data: x\n" * (MIB // 8)),
    "in comments": framed(b": x\n" * (MIB // 4)),
}


@pytest.mark.parametrize("more", ENDLESS.values(), ids=ENDLESS)
def test_an_event_without_end_is_given_up_before_it_fills_the_memory(more: bytes) -> None:
    """[M9] After the vendor's answer_bytes_max, here 8 MiB, with an error; the vendor's other 56 are not read."""

    async def main() -> None:
        async with gateway(says(SSE, framed(*text("a")), *[more] * 64), vendor={"answer_bytes_max": 8 * MIB}) as home:
            broken((await home.ask(post())).body, "gateway_error")
            await until(lambda: home.vendor.open == 0)
            assert home.vendor.lines[0].written < 8 * MIB + KERNEL_BYTES_MAX

    on_uvloop(main())


@either_way
def test_a_document_without_end_is_given_up(streamed: bool) -> None:
    """[M9] At the vendor's answer_bytes_max."""

    async def main() -> None:
        start = SSE.replace(b"text/event-stream", b"application/json") + framed(b'{"choices":[')
        async with gateway(says(start, *[framed(b" " * MIB)] * 64), vendor={"answer_bytes_max": 2 * MIB}) as home:
            failure(await home.ask(post(body(stream=streamed))), 502, "gateway_error")
            await until(lambda: home.vendor.open == 0)
            assert home.vendor.lines[0].written < 2 * MIB + KERNEL_BYTES_MAX

    on_uvloop(main())


@either_way
def test_a_document_that_calls_itself_a_stream_is_given_up_too(streamed: bool) -> None:
    """[M9] What is gathered whole is bounded, whatever its content type."""

    async def main() -> None:
        start = SSE + framed(b'{"choices":[')
        steps = [start, *[framed(b" " * MIB)] * 64, LAST]
        async with gateway(says(*steps), vendor={"answer_bytes_max": 2 * MIB}) as home:
            failure(await home.ask(post(body(stream=streamed))), 502, "gateway_error")
            assert home.vendor.lines[0].written < 2 * MIB + KERNEL_BYTES_MAX

    on_uvloop(main())


def test_a_million_events_in_one_packet_do_not_hold_up_other_streams() -> None:
    """[M10] While a burst is worked off, a paced stream beside it goes on, and both arrive whole."""
    words = [f" w{number}" for number in range(30_000)]
    burst = SSE + framed(b":\n\n" * 1_000_000 + b"".join([*text(*words), chunk({}, "stop"), DONE])) + LAST

    async def main() -> None:
        bursting = asyncio.Event()

        async def paced(line: VendorConnection) -> None:
            if line.asked[-1].json.get("user") == "burst":
                await line.send(burst)
                return
            await line.send(SSE + framed(*text()))
            for number in range(100):
                await line.send(framed(chunk({"content": f" p{number:03}"})))
                await asyncio.sleep(0.01)
                if number == 5:
                    bursting.set()
            await line.send(framed(chunk({}, "stop"), DONE) + LAST)

        async with gateway(paced) as home:
            times: list[float] = []

            async def read_on(caller: Caller) -> None:
                while b" p099" not in caller.received:
                    await caller.read(1_024)
                    times.append(now())

            caller = await home.client(post())
            reading = asyncio.create_task(read_on(caller))
            await bursting.wait()
            began = now()
            burst_reply = await home.ask(post(body(stream=True, user="burst")))
            during = [time for time in times if began < time < now()]
            assert content_of(whole(burst_reply.body)) == "".join(words)
            await reading
            assert len(content_of(whole((await caller.reply()).body))) == 100 * 5
            pause = max((b - a for a, b in pairwise(during)), default=0.0)
            print(f"{len(during)} tokens came during the burst; the longest pause was {1_000 * pause:.0f} ms")
            assert len(during) >= 5

    on_uvloop(main())


@pytest.mark.parametrize("length", [len(b"".join(EVENTS)) + 10, 1 << 40])
def test_a_stream_shorter_than_its_length_is_cut(length: int) -> None:
    """[M11] The vendor hangs up before what it promised; without the end mark that is a failure."""
    head = UNTIL_CLOSE.replace(b"\r\n\r\n", b"\r\ncontent-length: %d\r\n\r\n" % length)
    broken(relayed(head, b"".join(EVENTS[:-2]), hang_up), "upstream_unavailable")


@either_way
@pytest.mark.parametrize("more", [b"x", plain(document("EVIL")), b"\r\n" + stream_of("EVIL")], ids=["a byte", "an answer", "a stream"])
@pytest.mark.parametrize("pause", [0.0, 1.0], ids=["at once", "later"])
def test_bytes_behind_an_answer_are_nobodys_answer(streamed: bool, more: bytes, pause: float) -> None:
    """[M11][M16] Longer than its length, or a second answer that nobody asked for: the next call gets its own, on a new connection."""

    async def main() -> None:
        good = stream_of("a") if streamed else plain(document("a"))
        steps = (good, pause, more) if pause else (good + more,)
        async with gateway(in_turn(says(*steps), says(stream_of("b") if streamed else plain(document("b"))))) as home:
            for expected in "ab":
                reply = await home.ask(post(body(stream=streamed)))
                got = content_of(whole(reply.body)) if streamed else reply.json["choices"][0]["message"]["content"]
                assert got == expected
                await asyncio.sleep(2)
            assert len(home.vendor.lines) == 2

    run_virtual(main())


@either_way
def test_an_answer_with_two_lengths_never_mixes_with_the_next(streamed: bool) -> None:
    """[M11] Chunked and with a length: refused, or read as chunked on a connection that is not used again."""

    async def main() -> None:
        good = stream_of("a")
        async with gateway(says(good.replace(b"\r\n\r\n", b"\r\ncontent-length: 5\r\n\r\n", 1))) as home:
            for _ in range(2):
                reply = await home.ask(post(body(stream=streamed)))
                assert reply.status == 502 or content_of(whole(reply.body)) == "a"
            assert len(home.vendor.lines) == 2

    run_virtual(main())


PACKED = gzip.compress(b"".join(EVENTS) + bytes(10 * MIB))
PACKINGS = {
    "twice": ("content-encoding: gzip, gzip\r\n", PACKED),
    "br": ("content-encoding: br\r\n", b"\x8b\x02\x80"),
    "zstd": ("content-encoding: zstd\r\n", b"\x28\xb5\x2f\xfd"),
    "gzip that is none": ("content-encoding: gzip\r\n", document()),
    "a bomb": ("content-encoding: gzip\r\n", gzip.compress(bytes(100 * MIB))),
    "an unknown coding": ("content-encoding: x-none\r\n", document()),
    "unsaid": ("", PACKED),
}


@either_way
@pytest.mark.parametrize(("headers", "packed"), PACKINGS.values(), ids=PACKINGS)
def test_a_compressed_answer_that_cannot_be_read_is_refused(headers: str, packed: bytes, streamed: bool) -> None:
    """[M12] We ask for none; what is no gzip or deflate, or unpacks to more than an answer may have, is the vendor's failure."""

    async def main() -> None:
        kind = "text/event-stream" if streamed else "application/json"
        async with gateway(says(plain(packed, kind=kind, headers=headers))) as home:
            reply = await home.ask(post(body(stream=streamed)))
            failure(reply, 502, reply.json["error"]["code"])
            assert dict(home.vendor.asked[0].headers)["accept-encoding"] == "identity"

    run_virtual(main())


@either_way
@pytest.mark.parametrize("coding", ["gzip", "deflate", "gzip, identity"])
def test_a_compressed_answer_that_nobody_asked_for_is_read(coding: str, streamed: bool) -> None:
    """[fault W11] Stream and document alike, refusals too, and the connection is used again."""
    pack = zlib.compress if coding == "deflate" else gzip.compress
    headers = f"content-encoding: {coding}\r\n"
    good = (
        plain(pack(b"".join(EVENTS)), kind="text/event-stream", headers=headers) if streamed else plain(pack(document()), headers=headers)
    )
    bad = plain(pack(b'{"error": {"message": "No such field."}}'), status="400 Bad Request", headers=headers)

    async def main() -> None:
        async with gateway(says(good), vendor={"answer_bytes_max": 1 << 20}) as home:
            for _ in range(2):
                reply = await home.ask(post(body(stream=streamed)))
                assert (whole(reply.body) if streamed else reply.json["choices"][0]["message"]["content"]) != ""
                assert reply.header("content-encoding") is None
            assert len(home.vendor.lines) == 1
        async with gateway(says(bad)) as home:
            reply = await home.ask(post(body(stream=streamed)))
            assert "No such field." in reply.json["error"]["message"]

    run_virtual(main())


def test_a_compressed_transfer_is_refused() -> None:
    """[M12] In the framing it is no better than in the content."""
    refused(says(SSE.replace(b"chunked", b"gzip, chunked") + framed(PACKED) + LAST), 502, "gateway_error")


def test_a_vendor_that_sends_a_byte_every_half_minute_is_given_up() -> None:
    """[M13] Half an event is no token, however steadily it grows."""

    async def trickle(line: VendorConnection) -> None:
        for byte in chunk({"content": "b"}):
            await asyncio.sleep(30)
            await line.send(framed(bytes([byte])))

    async def main() -> None:
        async with gateway(says(SSE, framed(*text("a")), trickle)) as home:
            broken((await home.ask(post())).body, "upstream_timeout")
            assert 60 <= now() < 62

    run_virtual(main())


def tool(index: int, **more: Any) -> dict[str, Any]:
    """A fragment of a tool call."""
    return {"tool_calls": [{"index": index, **more}]}


def test_every_kind_of_delta_arrives_unchanged() -> None:
    """[M15] Reasoning under both names, several tokens in a chunk, fragments of two tool calls arrive; empty ones may be left out."""
    said = [
        chunk(OPENING),
        chunk({"reasoning_content": "Let me see.", "reasoning": "Let me see."}),
        chunk({"content": "several tokens in one chunk"}),
        chunk({"content": ""}),
        chunk(tool(0, id="call_1", type="function", function={"name": "f", "arguments": ""})),
        chunk(tool(0, function={"arguments": '{"a": '})),
        chunk(tool(0, function={"arguments": "1}"})),
        chunk(tool(1, id="call_2", type="function", function={"name": "g", "arguments": ""})),
        chunk(tool(1, function={"arguments": "{}"})),
        chunk({}, "tool_calls"),
    ]
    sent = whole(relayed(SSE, framed(*said, DONE), LAST))
    assert [item for item in events_of(sent) if item in events_of(b"".join(said))] == events_of(sent)[:-1]
    assert events_of(sent)[:-1] == [item for item in events_of(b"".join(said)) if item["choices"][0]["delta"] != {"content": ""}]


LATE = {
    "a chunk": chunk({"content": "EVIL"}),
    "another choice": chunk({"content": "EVIL"}, index=1),
    "an error": event({"error": {"message": "EVIL"}}),
    "usage": usage(99, 99),
    "nonsense": b"data: EVIL\n\n",
    "another end": DONE,
}


@pytest.mark.parametrize("late", LATE.values(), ids=LATE)
@pytest.mark.parametrize("finish", [[], [chunk({}, "stop")]], ids=["unfinished", "finished"])
def test_what_follows_the_end_mark_is_dropped(late: bytes, finish: list[bytes]) -> None:
    """[M16] Whatever stands behind [DONE] reaches nobody, in the same packet or a later one, and counts for nothing."""

    async def main() -> None:
        for pause in (0.0, 0.1):
            async with gateway(
                says(SSE, framed(*text("a"), *finish, usage(9, 1), DONE, *([] if pause else [late])), pause, framed(late) + LAST)
            ) as home:
                sent = whole((await home.ask(post(body(stream=True, stream_options={"include_usage": True})))).body, include_usage=True)
                assert (content_of(sent), b"EVIL" in sent, events_of(sent)[-2]["usage"]["total_tokens"]) == ("a", False, 10)

    run_virtual(main())


def test_a_stream_that_contradicts_itself_is_made_consistent() -> None:
    """[M17] One role, one id, one model, one time, one choice, whatever the vendor repeats or changes."""
    said = [
        {**HEAD, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "a"}, "finish_reason": None}]},
        {**HEAD, "id": "other", "choices": [{"index": 0, "delta": {"role": "assistant", "content": "b"}, "finish_reason": None}]},
        {**HEAD, "model": "other", "choices": [{"index": 0, "delta": {"content": "c"}, "finish_reason": None}]},
        {**HEAD, "created": 5, "choices": [{"index": 0, "delta": {"content": "d"}}]},
        {**HEAD, "object": "other", "choices": [{"index": 0, "delta": {"content": "e"}}, {"index": 1, "delta": {"content": "EVIL"}}]},
        {**HEAD, "choices": [{"index": 7, "delta": {"content": "EVIL"}}]},
        {**HEAD, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {**HEAD, "choices": [{"index": 0, "delta": {"content": "f"}, "finish_reason": "length"}]},
    ]
    sent = whole(relayed(SSE, framed(*map(event, said), DONE), LAST))
    assert (content_of(sent), b"EVIL" in sent) == ("abcdef", False)


@both_loops
def test_a_vendor_that_is_faster_than_its_client_is_throttled_and_loses_nothing(run: Callable[[Coroutine[Any, Any, None]], None]) -> None:
    """[M18] It is made to wait before half of its answer has left it; when the client reads on, all of it arrives."""
    words = [f" w{number:05}" + "x" * 1_000 for number in range(16_000)]
    answer = stream_of(*words)

    async def main() -> None:
        async with gateway(says(answer)) as home:
            caller: Caller = await home.client(post(), receive_bytes=8_192)
            await caller.until(b" w00100")
            line = home.vendor.lines[0]
            taken = -1
            while taken != line.taken:
                taken = line.taken
                await asyncio.sleep(0.3)
            assert taken < len(answer) / 2
            assert content_of((await caller.reply()).body) == "".join(words)

    run(main())
