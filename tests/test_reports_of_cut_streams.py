"""What a cut stream costs whose vendor has said something of its tokens before the end: never more than what arrived can be."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aisa.delivery import with_text
from aisa.ledger.rules import CLIENT_GONE, COMPLETED, Delivered, billed
from aisa.providers import anthropic, completions_openai, gemini, openai, responses
from aisa.providers.shape import Decoder, Target
from aisa.usage import COUNTED, REPORTED, Usage
from aisa.wire.chat import parse_chat
from aisa.wire.completions import CompletionsRequest
from aisa.wire.token_meter import BY_PIECES, BY_VENDOR
from one_call import FOR_EVER, bytes_of, made, row_of
from rig import DONE, HEAD, OPENING, MemoryClient, chunk, event, text, usage
from test_counting_ways import counted, said

ABSURD = 1_000  # tokens of a few words
FEW = ["We ", "saw ", "it ", "all ", "then ", "and ", "went ", "home ", "by ", "sea"]  # ten tokens of 2 to 5 bytes
TEXT = "".join(FEW)


def left(events: list[bytes], **options: Any) -> Usage:
    """What a client is billed that leaves when it has all of these events, of a vendor that would go on."""
    return row_of(
        made([*events, FOR_EVER], MemoryClient(leaves_after=len([each for each in events if b'"content"' in each])), **options)[1]
    ).billed


def broken(events: list[bytes], **options: Any) -> Usage:
    """What is billed where the vendor breaks off behind these events."""
    return row_of(made(events, **options)[1]).billed


def alone(report: dict[str, Any]) -> bytes:
    """A chunk of usage alone."""
    return event({**HEAD, "choices": [], "usage": report})


SPELLINGS = {
    "OpenAI's": counted(ABSURD),
    "Anthropic's": {"input_tokens": 9, "output_tokens": ABSURD},
    "camel case": {"promptTokens": 9, "completionTokens": ABSURD},
    "Gemini's": {"promptTokenCount": 9, "candidatesTokenCount": ABSURD},
    "with a text": {"prompt_tokens": "9", "completion_tokens": "1000"},
    "as a decimal": {"prompt_tokens": 9.0, "completion_tokens": 1e3},
    "input and total": {"prompt_tokens": 9, "total_tokens": 9 + ABSURD},
    "with less thinking than it hides": counted(ABSURD) | {"completion_tokens_details": {"reasoning_tokens": 300}},
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("place", ["before the text", "inside it", "behind it", "with each word"])
def test_a_report_beyond_what_arrived_is_not_the_bill_of_a_cut_stream(spelling: str, place: str) -> None:
    """[fault M5] 1,000 tokens of ten words, 33 bytes: ten are billed, wherever the report stands and whatever its members are called."""
    report, words = SPELLINGS[spelling], text(*FEW)
    if place == "with each word":
        events = [chunk(OPENING), *[said(word, usage=report) for word in FEW]]
    else:
        at = {"before the text": 1, "inside it": 6, "behind it": len(words)}[place]
        events = [*words[:at], alone(report), *words[at:]]
    for found in (broken(events), left(events)):
        assert (found.output_tokens, found.reasoning_tokens, found.source) == (10, 0, COUNTED)
        assert (found.input_tokens, found.input_source) == (9, REPORTED)


def test_a_report_before_the_text_says_nothing_of_it_however_small() -> None:
    """[fault M5] A figure that could be, but of what was not there yet: the text is counted. So is what comes behind a report."""
    words = text(*FEW)
    assert left([words[0], alone(counted(40)), *words[1:]]).output_tokens == 10
    assert left([*words[:6], alone(counted(40)), *words[6:]]).output_tokens == 10


def test_a_report_behind_the_text_is_believed_where_that_can_be() -> None:
    """[C6] Way 1 of the page: what the vendor said by that point, above our count and below."""
    for told in (4, 25, 33):
        found = left([*text(*FEW), alone(counted(told))])
        assert (found.output_tokens, found.source) == (told, REPORTED)


@pytest.mark.parametrize("hidden", [200, 5_000, 100_000])
@pytest.mark.parametrize("step", [1, 3])
def test_thinking_in_secret_is_no_part_of_a_running_count_that_was_cut(hidden: int, step: int) -> None:
    """[C6] The first word comes with all that was thought before it; from there on each word is what the count grows by."""
    events = [chunk(OPENING), *[said(word, usage=counted(hidden + step * place)) for place, word in enumerate(FEW * 9, 1)]]
    found = left(events)
    assert (found.output_tokens, found.counted_by) == (1 + step * (len(FEW) * 9 - 1), BY_VENDOR)


def test_thinking_of_which_a_running_count_tells_is_no_part_of_it() -> None:
    """[C6] It stands in the details, whatever of it is in the count: two of each ten tokens were text."""
    reports = [counted(10 * place) | {"completion_tokens_details": {"reasoning_tokens": 8 * place}} for place in range(1, len(FEW) + 1)]
    found = left([chunk(OPENING), *[said(word, usage=report) for word, report in zip(FEW, reports, strict=True)]])
    assert (found.output_tokens, found.reasoning_tokens, found.source) == (20, 0, REPORTED)


def test_thinking_that_was_shown_was_delivered() -> None:
    """[C6] As many tokens as the vendor says, thinking and text."""

    def thought(place: int) -> dict[str, Any]:
        return counted(3 * place) | {"completion_tokens_details": {"reasoning_tokens": 3 * place}}

    thoughts = [
        event({**HEAD, "choices": [{"index": 0, "delta": {"reasoning_content": word}, "finish_reason": None}], "usage": thought(place)})
        for place, word in enumerate(FEW, 1)
    ]
    events = [chunk(OPENING), *thoughts, said("So ", usage=counted(33))]
    found = row_of(made([*events, FOR_EVER], during=lambda _, client: client.leave())[1]).billed
    assert (found.output_tokens, found.reasoning_tokens, found.source) == (33, 30, REPORTED)


@pytest.mark.parametrize(("told", "cut", "way"), [(40, 20, "share of the report"), (ABSURD, 5, BY_PIECES)])
def test_a_finished_answer_of_which_half_arrived_costs_no_thinking_in_secret(told: int, cut: int, way: str) -> None:
    """[C6] 1,000 tokens for ten words: the whole answer costs them, as its vendor charges them. Half of it costs half of its words."""
    events = [*text(*FEW), chunk({}, "stop"), usage(9, told), DONE]
    whole = row_of(made([b"".join(events)])[1])
    half = row_of(made([b"".join(events)], MemoryClient(takes_bytes_max=bytes_of(events[:6])))[1])
    assert (whole.outcome, whole.billed.output_tokens, half.outcome) == (COMPLETED, told, CLIENT_GONE)
    assert (half.billed.output_tokens, half.billed.counted_by, half.generated.output_tokens) == (cut, way, told)


# Other dialects


CHAT = parse_chat(json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}).encode())
PROMPT = CompletionsRequest(json.dumps({"model": "m", "stream": True, "prompt": "Hi"}).encode())


def sse(*events: dict[str, Any], named: bool = False) -> bytes:
    """Events as a vendor writes them."""
    return b"".join(
        (b"event: %b\n" % each["type"].encode() if named else b"") + b"data: " + json.dumps(each).encode() + b"\n\n" for each in events
    )


def candidate(word: str, told: int) -> dict[str, Any]:
    """An event of Gemini's."""
    usage = {"promptTokenCount": 9, "candidatesTokenCount": told, "totalTokenCount": 9 + told}
    return {
        "candidates": [{"content": {"role": "model", "parts": [{"text": word}]}, "index": 0}],
        "usageMetadata": usage,
        "responseId": "r",
    }


def completion(word: str, told: int) -> dict[str, Any]:
    """A chunk of a text completion."""
    choice = {"index": 0, "text": word, "logprobs": None, "finish_reason": None}
    return {"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": [choice], "usage": counted(told)}


def message(told: int) -> bytes:
    """A stream of Anthropic's, whose opening tells of output."""
    usage = {"input_tokens": 9, "output_tokens": told}
    start = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None, "usage": usage}
    return sse(
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *[{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}} for word in FEW],
        named=True,
    )


def response(told: int) -> bytes:
    """A stream of the Responses API, whose opening tells of output."""
    usage = {"input_tokens": 9, "output_tokens": told, "total_tokens": 9 + told}
    said_so = [{"type": "response.output_text.delta", "item_id": "i", "output_index": 0, "content_index": 0, "delta": word} for word in FEW]
    item = {"id": "i", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    return sse(
        {"type": "response.created", "response": {"id": "r", "model": "m", "output": [], "status": "in_progress", "usage": usage}},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        *said_so,
        named=True,
    )


def cut(dialect: ModuleType, stream: bytes, request: Any = CHAT) -> Usage:
    """What is billed of what a dialect makes of the beginning of a stream, where all of it arrived."""
    decoder: Decoder = dialect.decoder(
        request, Target("acme", "m", dialect.NAME, completions=request is PROMPT), call_id="c", created=1, protocol="typed parts"
    )
    for place in range(0, len(stream), 700):
        decoder.feed(stream[place : place + 700])
    assert decoder.failure is None
    had = Delivered(decoder.tokens, decoder.tokens, decoder.reasoning_shown, decoder.finished)
    return billed(CLIENT_GONE, decoder.usage(), with_text(had, decoder, everything=True))


STREAMS = {
    "chat completions": (openai, lambda told: b"".join(said(word, usage=counted(told)) for word in FEW), CHAT),
    "Groq": (openai, lambda told: event({**HEAD, "choices": [], "x_groq": {"usage": counted(told)}}) + b"".join(text(*FEW)), CHAT),
    "text completions": (completions_openai, lambda told: sse(*[completion(word, told) for word in FEW]), PROMPT),
    "Gemini": (gemini, lambda told: sse(*[candidate(word, told) for word in FEW]), CHAT),
    "Anthropic": (anthropic, message, CHAT),
    "Responses": (responses, response, CHAT),
}


@pytest.mark.parametrize("name", STREAMS)
def test_no_dialect_bills_a_cut_stream_above_its_text(name: str) -> None:
    """[fault M5] The same ten words, of which each vendor says that they are 1,000 tokens."""
    dialect, write, request = STREAMS[name]
    found = cut(dialect, write(ABSURD), request)
    assert 9 <= found.output_tokens <= 12


@pytest.mark.parametrize(
    "told", [{}, {"candidatesTokenCount": 0}, {"candidatesTokenCount": None}, {"candidatesTokenCount": "few"}], ids=str
)
@pytest.mark.parametrize("member", [{}, {"odd": 1}], ids=["usual", "with a member more"])
def test_text_behind_thinking_that_is_shown_is_counted_where_gemini_does_not_count_it(told: dict[str, Any], member: dict[str, int]) -> None:
    """[fault M4] Thinking alone stood for all that was shown then: ten words behind it were free."""
    usage = {"promptTokenCount": 9, "totalTokenCount": 21, "thoughtsTokenCount": 12, **told}
    said_so = {"usageMetadata": usage, "responseId": "r", "modelVersion": "m", **member}
    thought = {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hm.", "thought": True}]}, "index": 0}], **said_so}
    found = cut(gemini, sse(thought, *[{**candidate(word, 0), **said_so} for word in FEW]))
    assert found == cut(gemini, sse(thought, *[{**candidate(word, 0), **said_so, "usageMetadata": {}} for word in FEW]))
    assert found.output_tokens - found.reasoning_tokens >= len(FEW)


RUNNING = {
    "chat completions": (openai, lambda word, told: said(word, usage=counted(told)), CHAT),
    "text completions": (completions_openai, lambda word, told: sse(completion(word, told)), PROMPT),
    "Gemini": (gemini, lambda word, told: sse(candidate(word, told)), CHAT),
}


@pytest.mark.parametrize("name", RUNNING)
@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_running_count_that_can_be_is_the_bill_behind_every_event(name: str, data: st.DataObject) -> None:
    """[fault M7] Whatever a word is worth, up to four tokens a byte: the vendor's last count, in each of the dialects that have one."""
    dialect, write, request = RUNNING[name]
    words = data.draw(st.lists(st.text("abcdef é日", min_size=1, max_size=9), min_size=1, max_size=12))
    told, stream = 0, b""
    for word in words:
        told += data.draw(st.integers(1, 4 * len(word.encode())))
        stream += write(word, told)
    found = cut(dialect, stream, request)
    assert (found.output_tokens, found.source) == (told, REPORTED)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(["", *FEW]), st.none() | st.integers(0, 3_000)), min_size=1, max_size=15))
def test_no_row_of_reports_brings_the_bill_above_what_the_text_can_be(events: list[tuple[str, int | None]]) -> None:
    """[C6] Alone, with a text, growing or not: never above four tokens a byte and 64, and our own count where nothing can be believed."""
    stream, size = b"", 0
    for word, told in events:
        size += len(word)
        stream += said(word, usage=None if told is None else counted(told)) if word else alone(counted(told or 0))
    found = cut(openai, stream)
    assert found.output_tokens <= 4 * size + 64
