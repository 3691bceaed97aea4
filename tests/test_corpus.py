"""The corpus: what vendors of the OpenAI dialect really send, and what a client must get for it, however the bytes arrive.

A folder of `corpus/openai` is a case; its name says what is special. Its files:
`request.json` the client's body; `upstream.sse`, `.json` or `.txt` the vendor's body, with `upstream.meta.json` {status, headers} if it is
not a plain 200; `client.sse` or `client.json` what the client gets (before a failure, if there is one); `usage.json` the counts that the
call ends with, those that matter; `failure.json` {code, status, after_pieces}; `case.json` flags: `verbatim` (the client's bytes are
compared, not only their JSON), `choices` (how many come, where a vendor ignores `n`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from jsonschema import Draft202012Validator

from aisa.answer import Piece
from aisa.errors import UpstreamFailed
from aisa.providers import openai
from aisa.providers.shape import Asked, Target
from aisa.testing.conformance import check_answer, check_error, check_stream
from aisa.usage import Usage
from aisa.wire.chat import ChatRequest, parse_chat
from aisa.wire.reply import JSON_TYPE, error_event, error_headers, error_json
from repeats import FACTOR, repeats
from rig import closing_of

HERE = Path(__file__).parent
CASES = sorted(path for path in (HERE / "corpus" / "openai").iterdir() if path.is_dir())
TARGET = Target(vendor="acme", model="m-1-2026", dialect=openai.NAME)
CALL_ID = "01CORPUS"
CREATED = 1750000000
REQUEST_ID = "req_01CORPUS"
KINDS = ("sse", "json", "txt")
#: A longer case is split at this many bytes, evenly spread, and at every byte where a line or a character could break.
SPLITS_MAX = 256
FRAGILE = frozenset(b"\r\n") | frozenset(range(128, 256))

SCHEMA = json.loads((HERE / "schema" / "chat-completions.schema.json").read_bytes())
CHUNK, ANSWER, ERROR = (
    Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})
    for name in ("CreateChatCompletionStreamResponse", "CreateChatCompletionResponse", "ErrorResponse")
)


class Outcome(NamedTuple):
    """What came of one arrival of a vendor's body: the bytes for the client, the tokens they were said to carry, counts, failure."""

    sent: bytes
    tokens: int
    usage: Usage
    failure: tuple[str, int] | None


def play(chat: ChatRequest, arrival: Iterator[bytes] | list[bytes], target: Target = TARGET) -> tuple[Outcome, UpstreamFailed | None]:
    """Feed a body through the decoder the way the path of a call does: until it is done or has failed, then the closing."""
    decoder = openai.decoder(chat, target, call_id=CALL_ID, created=CREATED)
    pieces: list[Piece] = []
    for data in arrival:
        pieces += decoder.feed(data)
        if decoder.done or decoder.failure:
            break
    else:
        pieces += decoder.end()
    failure = decoder.failure
    sent = b"".join(piece.data for piece in pieces) + (b"" if failure else closing_of(decoder, None))
    told = None if failure is None else (failure.error.code, failure.error.status)
    return Outcome(sent, sum(piece.tokens for piece in pieces), decoder.usage(), told), failure


def arrivals(body: bytes) -> Iterator[list[bytes]]:
    """Yield the ways in which a body may arrive: in two parts at every split, and byte by byte."""
    step = max(1, len(body) // repeats(SPLITS_MAX))
    for split in range(1, len(body)):
        if split % step == 0 or (FACTOR >= 1 and (body[split - 1] in FRAGILE or body[split] in FRAGILE)):
            yield [body[:split], body[split:]]
    yield [body[place : place + 1] for place in range(len(body))]


def read(case: Path, name: str, otherwise: Any = None) -> Any:
    """Return the JSON of a file of a case, or something else if there is none."""
    path = case / name
    return json.loads(path.read_bytes()) if path.exists() else otherwise


def bytes_of(case: Path, stem: str) -> bytes:
    """Return the bytes of a case's `.sse`, `.json` or `.txt` file; none if it has none."""
    return b"".join((case / f"{stem}.{kind}").read_bytes() for kind in KINDS if (case / f"{stem}.{kind}").exists())


def values(body: bytes, *, stream: bool) -> list[object]:
    """Return the JSON values of a body's events, or of the one document, to compare them whatever the order of keys."""
    if not stream:
        return [json.loads(body)] if body else []
    return [
        event if event == "data: [DONE]" else json.loads(event.removeprefix("data: ")) for event in body.decode().split("\n\n") if event
    ]


def faults(sent: bytes, chat: ChatRequest, failure: UpstreamFailed | None, choices: int) -> list[str]:
    """Return what the client could complain of in all that it was sent, the report of a failure included."""
    if failure is not None and not sent:
        body = error_json(failure.error, REQUEST_ID)
        headers = {"content-type": JSON_TYPE, "x-request-id": REQUEST_ID, **dict(error_headers(failure.error))}
        return check_error(body, failure.error.status, headers) + [error.message for error in ERROR.iter_errors(json.loads(body))]
    if not chat.stream:
        return check_answer(sent) + [error.message for error in ANSWER.iter_errors(json.loads(sent))]
    whole = sent if failure is None else sent + error_event(failure.error, REQUEST_ID)
    chunks = [value for value in values(sent, stream=True) if isinstance(value, dict)]
    unfit = [error.message for chunk in chunks for error in CHUNK.iter_errors(chunk)]
    return check_stream(whole, include_usage=chat.include_usage, choices=choices) + unfit


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_client_gets_what_the_case_says_however_the_vendors_bytes_arrive(case: Path) -> None:
    """Output, usage and failure are those of the case's files, conformant, and the same for every split of the body."""
    chat = parse_chat((case / "request.json").read_bytes())
    upstream = bytes_of(case, "upstream")
    meta = read(case, "upstream.meta.json", {"status": 200, "headers": {}})
    flags = read(case, "case.json", {})
    expected = read(case, "failure.json")
    if meta["status"] != 200:
        refusal = openai.read_failure(meta["status"], meta["headers"], upstream, target=TARGET, asked=Asked(now=float(CREATED)))
        assert {"code": refusal.error.code, "status": refusal.error.status, "after_pieces": False} == expected
        assert faults(b"", chat, refusal, 1) == []
        return
    outcome, failure = play(chat, [upstream])
    told = failure and {"code": failure.error.code, "status": failure.error.status, "after_pieces": outcome.sent != b""}
    assert told == expected
    client = bytes_of(case, "client")
    assert values(outcome.sent, stream=chat.stream) == values(client, stream=chat.stream)
    if flags.get("verbatim"):
        assert outcome.sent == client
    counts = msgspec.to_builtins(outcome.usage)
    wanted = read(case, "usage.json", {})
    assert {name: counts[name] for name in wanted} == wanted
    assert faults(outcome.sent, chat, failure, flags.get("choices", chat.known.n or 1)) == []
    for arrival in arrivals(upstream):
        assert play(chat, arrival)[0] == outcome, f"another outcome when split after {len(arrival[0])} bytes"


def test_every_case_is_whole() -> None:
    """A case has a request, one vendor body, and says what the client gets or how it fails; no other file lies about."""
    known = {f"{stem}.{kind}" for stem in ("upstream", "client") for kind in KINDS}
    known |= {"request.json", "upstream.meta.json", "usage.json", "failure.json", "case.json"}
    for case in CASES:
        names = {path.name for path in case.iterdir()}
        assert names <= known, case.name
        assert "request.json" in names, case.name
        assert len(names & {f"upstream.{kind}" for kind in KINDS}) == 1, case.name
        assert names & {"client.sse", "client.json", "failure.json"}, case.name


STREAMED = b'{"model":"m-1","messages":[{"role":"user","content":"Hi"}],"stream":true,"stream_options":{"include_usage":true}}'


def event(delta: str, finish: str = "null") -> bytes:
    """Write a vendor's chunk."""
    head = '"id":"c1","object":"chat.completion.chunk","created":1,"model":"m"'
    return f'data: {{{head},"choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}],"usage":null}}\n\n'.encode()


OPENING = event('{"role":"assistant","content":"","refusal":null}')
READ_BYTES = 65536  # what one read from a socket gives at most


def reads(body: bytes) -> list[bytes]:
    """Cut a body the way a fast socket delivers it."""
    return [body[place : place + READ_BYTES] for place in range(0, len(body), READ_BYTES)]


def test_an_event_of_three_megabytes_passes() -> None:
    """An inline image or audio of that size reaches the client unchanged; every official client accepts it."""
    large = event('{"content":"' + "a" * (3 << 20) + '"}')
    outcome, failure = play(parse_chat(STREAMED), reads(OPENING + large + event("{}", '"stop"') + b"data: [DONE]\n\n"))
    assert failure is None
    assert large in outcome.sent


@pytest.mark.heavy
@pytest.mark.parametrize("kind", ['{"content":"%b"}', '{"content":"","images":[{"type":"image_url","image_url":{"url":"%b"},"index":0}]}'])
def test_an_event_as_large_as_a_document_may_be_passes(kind: str) -> None:
    """[fault W6] An image of 20 MiB is one event; a stream takes what a document would, and the vendor's setting bounds both."""
    large = event(kind.replace("%b", "A" * (20 << 20)))
    stream = OPENING + large + event("{}", '"stop"') + b"data: [DONE]\n\n"
    outcome, _ = play(parse_chat(STREAMED), reads(stream))
    assert (outcome.failure, len(outcome.sent) > len(large)) == (None, True)
    small = msgspec.structs.replace(TARGET, answer_bytes_max=19 << 20)
    assert play(parse_chat(STREAMED), reads(stream), small)[0].failure == ("gateway_error", 502)


def test_an_endless_event_is_a_failure_after_what_came_before_it() -> None:
    """A line beyond the limit ends the stream with an error; what was complete before it is still sent."""
    said = OPENING + event('{"content":"a"}')
    small = msgspec.structs.replace(TARGET, answer_bytes_max=1 << 20)
    outcome, _ = play(parse_chat(STREAMED), reads(said + b"data: " + b"a" * (2 << 20)), small)
    assert outcome.failure == ("gateway_error", 502)
    assert outcome.sent == said


def test_many_events_in_one_read_all_arrive() -> None:
    """A burst of ten thousand chunks in one read loses and reorders none."""
    burst = b"".join(event(f'{{"content":"{number} "}}') for number in range(10_000))
    outcome, _ = play(parse_chat(STREAMED), [OPENING + burst + event("{}", '"stop"') + b"data: [DONE]\n\n"])
    assert outcome.sent.startswith(OPENING + burst)
    assert outcome.tokens == outcome.usage.output_tokens == 10_000


def test_the_cost_is_told_in_usage_when_there_is_one() -> None:
    """A priced call's usage carries the exact cost, in a stream that asked for usage and in an answer."""
    decoder = openai.decoder(parse_chat(STREAMED), TARGET, call_id=CALL_ID, created=CREATED)
    decoder.feed(OPENING + event("{}", '"stop"') + b"data: [DONE]\n\n")
    assert b'"cost":0.000000001}' in closing_of(decoder, "0.000000001")
    body = (HERE / "corpus" / "openai" / "an-answer-passes-byte-for-byte" / "upstream.json").read_bytes()
    plain = openai.decoder(parse_chat(STREAMED.split(b',"stream"')[0] + b"}"), TARGET, call_id=CALL_ID, created=CREATED)
    plain.feed(body)
    plain.end()
    answer = closing_of(plain, "0.25")
    assert json.loads(answer)["usage"]["cost"] == 0.25
    assert check_answer(answer) == []
