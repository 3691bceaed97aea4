"""What a stream keeps of its request and of its vendor's head while it goes on: little, and nothing that somebody still needs is lost."""

from __future__ import annotations

import json

import msgspec
import pytest
from httptools import HttpResponseParser

from aisa.errors import UpstreamFailed
from aisa.http.exchange import Exchange, Intake
from aisa.http.server import Reply, Request
from aisa.providers import openai
from aisa.providers.shape import Target
from aisa.timers import Timers
from aisa.usage import ESTIMATED
from aisa.wire.chat import FOLDED_BYTES_MAX, ChatRequest, FoldedRequest, chat_of, parse_chat
from http_client_rig import Run, both_loops
from http_server_rig import post, serving

ASKED = {
    "model": "m",
    "stream": True,
    "messages": [
        {"role": "system", "content": "Be brief. \u00e9"},
        {"role": "user", "content": [{"type": "image_url", "image_url": "https://a/b.png"}, {"type": "text", "text": "what is it?"}]},
    ],
    "tools": [{"type": "function", "function": {"name": "look"}}],
    "n": 2,
}
BODY = json.dumps(ASKED).encode()
HEAD = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m",'
ROLE = HEAD + b'"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n'
TEXT = ROLE.replace(b'{"role":"assistant","content":""}', b'{"content":"a word"}')


def test_a_folded_request_is_read_anew_when_it_is_asked() -> None:
    """Until then what it says of itself is there; then it is what it was, whoever asks for what first."""
    for ask in (lambda chat: chat.known, lambda chat: chat.fields, lambda chat: chat.choices, lambda chat: chat.as_chat()):
        request, whole = parse_chat(BODY), parse_chat(BODY)
        request.fold()
        assert type(request) is FoldedRequest
        assert (request.model, request.stream, request.body_bytes, request.include_usage) == ("m", True, len(BODY), False)
        assert request.chat is request
        assert type(request) is FoldedRequest
        ask(request)
        assert type(request) is ChatRequest
        assert (request.known, {name: bytes(value) for name, value in request.fields.items()}) == (
            whole.known,
            {name: bytes(value) for name, value in whole.fields.items()},
        )
        assert msgspec.structs.replace(request, stream=False).known == whole.known
        with pytest.raises(AttributeError):
            _ = request.nothing


def test_what_cannot_be_read_anew_at_little_cost_stays_whole() -> None:
    """A request of another protocol has no body of its own, and a large one would keep the loop from others."""
    translated = chat_of(json.loads(BODY), len(BODY))
    large = parse_chat(json.dumps({**ASKED, "user": "u" * FOLDED_BYTES_MAX}).encode())
    for request in (translated, large):
        request.fold()
        assert type(request) is ChatRequest


def test_a_stream_that_its_vendor_does_not_report_is_counted_as_if_nothing_was_folded() -> None:
    """Its decoder folds the request when the vendor has answered, and its input is still what it was."""
    counts = []
    for fold in (True, False):
        request = parse_chat(BODY)
        decoder = openai.decoder(request, Target("v", "m", "openai"), call_id="req_1", created=1)
        assert type(request) is FoldedRequest
        if not fold:
            request.as_chat()
        for event in (ROLE, TEXT):
            decoder.feed(event)
        usage = decoder.usage()
        assert usage.input_source == ESTIMATED
        counts.append(usage)
    assert counts[0] == counts[1]
    assert counts[0].input_tokens > 10


@both_loops
def test_headers_are_forgotten_once_a_stream_begins_and_not_those_that_are_known_again(run: Run) -> None:
    """A document keeps them; of a connection's requests with one head each has them until its answer begins, as all others do."""
    seen: list[tuple[bool, bool]] = []

    async def script(request: Request, reply: Reply) -> None:
        before = request.headers.get("x-a") == "1"
        reply.start(200, [], None if request.path == "/stream" else 2)
        seen.append((before, request.headers.get("x-a") == "1"))
        reply.write(b"ok")
        reply.end()

    async def scenario() -> None:
        async with serving(script) as served:
            for path, kept in (("/stream", False), ("/document", True)):
                client = await served.connect()
                for _ in range(4):
                    assert (await client.ask(post(b"{}", path, "x-a: 1\r\n"))).body == b"ok"
                assert seen == [(True, kept)] + [(True, True)] * 3
                seen.clear()

    run(scenario())


class Line:
    """A connection that carries nothing."""

    def pause(self) -> None:
        """Ignored."""

    def resume(self) -> None:
        """Ignored."""

    def abort(self) -> None:
        """Ignored."""

    def release(self, *, whole: bool) -> None:
        """Ignored."""


def exchange_on(intake: Intake, timers: Timers, *, kept: bool = False) -> Exchange:
    """An exchange whose answer comes through an intake."""
    return Exchange(Line(), timers, HttpResponseParser(intake), intake=intake, vendor="v", bytes_max=100, kept=kept)


STREAM = b"HTTP/1.1 200 OK\r\nx-a: 1\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


@both_loops
def test_the_head_of_a_good_stream_is_forgotten_and_that_of_others_is_not(run: Run) -> None:
    """And a stream whose connection breaks is not taken for one that never began, which could be asked for once more."""

    async def scenario() -> None:
        intake, timers = Intake(), Timers()
        good, refused, document = [exchange_on(intake, timers, kept=True) for _ in range(3)]
        good.feed(memoryview(STREAM))
        refused.feed(memoryview(STREAM.replace(b"200 OK", b"429 No")))
        document.feed(memoryview(STREAM.replace(b"text/event-stream", b"application/json")))
        assert (good.headers, refused.headers["x-a"], document.headers["x-a"]) == ({}, "1", "1")
        good.lost("gone")
        with pytest.raises(UpstreamFailed) as caught:
            await good.read()
        assert not caught.value.may_repeat

    run(scenario())


@both_loops
def test_answers_that_come_through_one_intake_in_turns_do_not_mix(run: Run) -> None:
    """Each gets its own bytes, also behind one that is no answer at all and one whose reading fails with an error of ours."""

    async def scenario() -> None:
        intake, timers = Intake(), Timers()
        first, second, broken = [exchange_on(intake, timers) for _ in range(3)]
        first.feed(memoryview(STREAM + b"1\r\na\r\n"))
        second.feed(memoryview(STREAM))
        broken.feed(memoryview(STREAM + b"1\r\nx\r\nno length\r\n"))
        first.feed(memoryview(b"1\r\nb\r\n1\r\nc\r\n"))
        second.feed(memoryview(b"1\r\nd\r\n0\r\n\r\n"))
        assert (await first.read(), await second.read(), await broken.read()) == (b"abc", b"d", b"x")
        assert (second.complete, first.complete) == (True, False)
        failing = exchange_on(intake, timers)
        failing.feed(memoryview(STREAM))
        intake.on_body(b"of a read that ended otherwise")

        def fail(_data: object) -> None:
            raise MemoryError

        failing._parser = type("Parser", (), {"feed_data": staticmethod(fail)})()
        with pytest.raises(MemoryError):
            failing.feed(memoryview(b"1\r\ne\r\n"))
        first.feed(memoryview(b"1\r\nf\r\n"))
        assert await first.read() == b"f"

    run(scenario())
