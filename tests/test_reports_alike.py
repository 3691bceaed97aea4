"""The same tokens, reported in the words of every dialect, are the same bill: whole or streamed, however counts are written, told twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from aisa.providers.shape import Target
from aisa.providers.tasks import DIALECTS
from aisa.testing.aws_frames import frame
from aisa.usage import COUNTED, ESTIMATED, REPORTED, Usage
from aisa.wire.chat import parse_chat
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.door import Door
from aisa.wire.gemini_door import GeminiDoor
from aisa.wire.messages_door import MESSAGES_DOOR
from aisa.wire.responses_door import RESPONSES_DOOR
from rig import HEAD, OPENING, body, chunk, event

Json = dict[str, Any]
Write = Callable[[int], object]
WORDS = "some words that are long enough " * 10
#: Dialect -> the names of its sums, input, output and total ("" where it has none), and of its parts, with how much each is.
SUMS: dict[str, tuple[str, str, str]] = {
    "openai": ("prompt_tokens", "completion_tokens", "total_tokens"),
    "mistral": ("prompt_tokens", "completion_tokens", "total_tokens"),
    "responses": ("input_tokens", "output_tokens", "total_tokens"),
    "anthropic": ("input_tokens", "output_tokens", ""),
    "gemini": ("promptTokenCount", "candidatesTokenCount", "totalTokenCount"),
    "bedrock": ("inputTokens", "outputTokens", "totalTokens"),
    "cohere": ("input_tokens", "output_tokens", ""),
}
#: What stands beside the sums of 100 tokens of input and 110 of output, of which 20 were cached: where they are inside, and where apart.
CHAT_PARTS = {"prompt_tokens_details": {"cached_tokens": 20}, "completion_tokens_details": {"reasoning_tokens": 30}}
PARTS: dict[str, tuple[int, int, Json]] = {
    "openai": (100, 110, CHAT_PARTS),
    "mistral": (100, 110, CHAT_PARTS),
    "responses": (100, 110, {"input_tokens_details": {"cached_tokens": 20}, "output_tokens_details": {"reasoning_tokens": 30}}),
    "anthropic": (80, 110, {"cache_read_input_tokens": 20, "output_tokens_details": {"thinking_tokens": 30}}),
    "gemini": (100, 80, {"cachedContentTokenCount": 20, "thoughtsTokenCount": 30}),
    "bedrock": (80, 110, {"cacheReadInputTokens": 20}),
    "cohere": (100, 110, {"cached_tokens": 20}),
}
THOUGHT = {"bedrock": 0, "cohere": 0}  # which do not say how much of the output was thinking
TWICE = [name for name in SUMS if name != "cohere"]  # whose report is told once, at the end
TOTAL = [name for name, sums in SUMS.items() if sums[2]]


def counts(tree: Json, write: Write) -> Json:
    """A report whose counts are written so."""
    return {name: counts(value, write) if isinstance(value, dict) else write(value) for name, value in tree.items()}


def report(dialect: str, write: Write = int, total: int = 210, without: tuple[str, ...] = ()) -> Json:
    """What a vendor reports: by the names of its sums, without some of them, and its parts."""
    taken, made, parts = PARTS[dialect]
    sums = dict(zip(SUMS[dialect], (taken, made, total), strict=True))
    told = {name: count for name, count in sums.items() if name and name not in without} | (parts if not without else {})
    if dialect == "cohere":
        cached = {name: told.pop(name) for name in ("cached_tokens",) if name in told}
        told = {"tokens": told, "billed_units": dict(told), **cached}
    return counts(told, write)


def document(dialect: str, usage: Json) -> bytes:
    """A whole answer with a report."""
    message = {"role": "assistant", "content": WORDS}
    text = [{"type": "text", "text": WORDS}]
    item = {"id": "i", "type": "message", "role": "assistant", "content": [{"type": "output_text", "text": WORDS, "annotations": []}]}
    said = {"candidates": [{"content": {"parts": [{"text": WORDS}]}, "finishReason": "STOP", "index": 0}], "usageMetadata": usage}
    chat = {**HEAD, "object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
    answers: dict[str, Json] = {
        "openai": chat,
        "mistral": chat,
        "responses": {"id": "r", "object": "response", "status": "completed", "output": [item], "usage": usage},
        "anthropic": {"id": "m", "type": "message", "role": "assistant", "content": text, "stop_reason": "end_turn", "usage": usage},
        "gemini": {**said, "modelVersion": "m", "responseId": "r"},
        "bedrock": {"output": {"message": {"content": [{"text": WORDS}]}}, "stopReason": "end_turn", "usage": usage},
        "cohere": {"id": "c", "finish_reason": "COMPLETE", "message": {"content": text}, "usage": usage},
    }
    return json.dumps(answers[dialect]).encode()


def framed(kind: str, **payload: Any) -> bytes:
    """An event of Bedrock's."""
    return frame({":event-type": kind, ":content-type": "application/json", ":message-type": "event"}, json.dumps(payload).encode())


def stream(dialect: str, *usages: Json) -> bytes:
    """The same as a stream, with one report or several."""
    first, *_, last = *usages, usages[-1]
    if dialect in ("openai", "mistral"):
        told = [event({**HEAD, "choices": [], "usage": usage}) for usage in usages]
        return b"".join([chunk(OPENING), chunk({"content": WORDS}), chunk({}, "stop"), *told])
    if dialect == "gemini":
        events = [json.loads(document(dialect, usage)) for usage in usages]
        for place, each in enumerate(events):
            [candidate] = each["candidates"]
            candidate["content"]["parts"][0]["text"] = "" if place else WORDS
            candidate |= {} if place == len(events) - 1 else {"finishReason": None}
        return b"".join(map(event, events))
    if dialect == "bedrock":
        told = [framed("metadata", usage=usage) for usage in usages]
        return b"".join(
            [framed("contentBlockDelta", contentBlockIndex=0, delta={"text": WORDS}), *told, framed("messageStop", stopReason="end_turn")]
        )
    whole = json.loads(document(dialect, last))
    if dialect == "responses":
        begun = {**whole, "status": "in_progress", "output": [], "usage": first if len(usages) > 1 else None}
        delta = {"type": "response.output_text.delta", "item_id": "i", "output_index": 0, "content_index": 0, "delta": WORDS}
        added = {"type": "response.output_item.added", "output_index": 0, "item": {**whole["output"][0], "content": []}}
        created, ended = {"type": "response.created", "response": begun}, {"type": "response.completed", "response": whole}
        return b"".join(map(event, [created, added, delta, ended]))
    if dialect == "cohere":
        delta = {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": WORDS}}}}
        return event(delta) + event({"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": last}})
    begun = {**whole, "content": [], "stop_reason": None, "usage": first}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": WORDS}}
    ends = [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage} for usage in usages]
    return b"".join(map(event, [{"type": "message_start", "message": begun}, block, delta, *ends, {"type": "message_stop"}]))


def read(dialect: str, answer: bytes, *, streamed: bool) -> Usage:
    """What an answer costs in tokens."""
    chat, target = parse_chat(body(stream=streamed)), Target("acme", "m-1", dialect)
    decoder = DIALECTS[dialect].decoder(chat, target, call_id="c", created=1, protocol=CHAT_DOOR.protocol)
    decoder.feed(answer)
    if not decoder.done:
        decoder.end()
    assert decoder.failure is None
    return decoder.usage()


def alike(dialect: str, usage: Json) -> Usage:
    """The tokens of a report, which are the same in a document and in a stream."""
    whole, streamed = read(dialect, document(dialect, usage), streamed=False), read(dialect, stream(dialect, usage), streamed=True)
    assert (whole.input_tokens, whole.output_tokens, whole.reasoning_tokens) == (
        streamed.input_tokens,
        streamed.output_tokens,
        streamed.reasoning_tokens,
    )
    return whole


def usual(dialect: str) -> Usage:
    """What is right."""
    return Usage(100, 110, cached_tokens=20, reasoning_tokens=THOUGHT.get(dialect, 30), source=REPORTED, input_source=REPORTED)


@pytest.mark.parametrize("write", [int, float, str])
@pytest.mark.parametrize("dialect", SUMS)
def test_a_report_is_read_however_its_counts_are_written(dialect: str, write: Write) -> None:
    """[fault M4] Whole numbers, decimals, text."""
    assert alike(dialect, report(dialect, write)) == usual(dialect)


NOTHING: dict[str, Write] = {
    "null": lambda _: None,
    "zero": lambda _: 0,
    "zero as text": lambda _: "0",
    "negative": lambda count: -count,
    "a boolean": lambda _: True,
    "absurd": lambda count: count * 10**9,
    "a list": lambda count: [count],
    "a fraction": lambda count: count + 0.5,
}


@pytest.mark.parametrize("write", NOTHING.values(), ids=NOTHING)
@pytest.mark.parametrize("dialect", SUMS)
def test_what_is_no_count_is_no_report_and_the_text_is_counted(dialect: str, write: Write) -> None:
    """[fault M4] In every dialect."""
    found = alike(dialect, report(dialect, write))
    assert (found.input_tokens, found.output_tokens, found.source in (COUNTED, ESTIMATED)) == (1, len(WORDS) // 4, True)


@pytest.mark.parametrize("write", [*NOTHING.values()], ids=NOTHING)
@pytest.mark.parametrize("first", [True, False], ids=["behind", "before"])
@pytest.mark.parametrize("dialect", TWICE)
def test_a_good_report_wins_over_one_that_cannot_be_read(dialect: str, write: Write, *, first: bool) -> None:
    """[fault M4] Whichever comes first. Of the Responses API the last alone was read; of Anthropic's what stands in objects was lost."""
    told = [report(dialect), report(dialect, write)]
    assert read(dialect, stream(dialect, *(told if first else reversed(told))), streamed=True) == usual(dialect)


@pytest.mark.parametrize("dialect", TWICE)
def test_a_smaller_report_does_not_replace_a_larger_one(dialect: str) -> None:
    """[fault M4] Counts grow while an answer is made. Of Anthropic's the last one held, whatever it said."""
    taken, made, _ = SUMS[dialect]
    less = report(dialect) | {taken: 30, made: 40}
    for told in ((report(dialect), less), (less, report(dialect)), (less, report(dialect), less)):
        if dialect != "responses" or told[-1] is not less:
            assert read(dialect, stream(dialect, *told), streamed=True) == usual(dialect)


IN, READ, WROTE = "input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"
SHORT, LONG = "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"


@pytest.mark.parametrize(
    ("first", "later", "taken", "cached", "written", "hour"),
    [
        ({IN: 100}, {IN: 10, READ: 90}, 100, 90, 0, 0),  # told apart later
        ({IN: 100}, {IN: 20, READ: 70, WROTE: 30, "cache_creation": {SHORT: 10, LONG: 20}}, 120, 70, 30, 20),
        ({IN: 100, READ: 50}, {IN: 20}, 150, 50, 0, 0),  # smaller, whatever is not named
        ({IN: 100, READ: 50}, {IN: 20, READ: 130}, 150, 130, 0, 0),
        ({IN: 20, WROTE: 80, "cache_creation": {LONG: 80}}, {IN: 20, READ: 80, WROTE: 0}, 100, 80, 0, 0),
        ({IN: 20, WROTE: 80, "cache_creation": {LONG: 80}}, {IN: 20, WROTE: 80, "cache_creation": {SHORT: 80, LONG: 0}}, 100, 0, 80, 0),
        ({IN: 20, WROTE: 80, "cache_creation": {LONG: 80}}, {IN: 5, WROTE: 9, "cache_creation": {SHORT: 9, LONG: 0}}, 100, 0, 80, 80),
        ({IN: 20, WROTE: 80}, {"cache_creation": {LONG: 80}}, 100, 0, 80, 80),
        ({IN: 20}, {IN: 5, WROTE: 9, "cache_creation": {LONG: 9}}, 20, 0, 0, 0),
    ],
)
def test_an_input_of_anthropics_is_smaller_as_a_whole_or_not_at_all(
    first: Json, later: Json, taken: int, cached: int, written: int, hour: int
) -> None:
    """[fault M4] Its parts stand beside each other: the larger of each could be more than there ever was. Clients see what is billed."""
    answer = stream("anthropic", {**first, "output_tokens": 1}, {**later, "output_tokens": 110})
    usage = read("anthropic", answer, streamed=True)
    assert (usage.input_tokens, usage.cached_tokens, usage.cache_write_tokens, usage.output_tokens) == (taken, cached, written, 110)
    assert (usage.breakdown.cache_write_1h_tokens if usage.breakdown else 0) == hour
    told = first | shown("anthropic", answer, streamed=True)  # as its clients put it together
    assert (told[IN] + told.get(READ, 0) + told.get(WROTE, 0), told.get(READ, 0), told.get(WROTE, 0)) == (taken, cached, written)


@pytest.mark.parametrize("later", [{WROTE: 0}, {IN: 20, WROTE: 0}, {IN: 20, READ: 0, WROTE: 9}, {IN: 20}, {}], ids=str)
def test_what_was_written_and_told_by_how_long_it_lasts_alone_is_not_less_for_a_sum_without_it(later: Json) -> None:
    """[fault M4] Such a vendor's sum is smaller than what it is of. A cache that was paid for was not billed."""
    answer = stream("anthropic", {IN: 20, "cache_creation": {LONG: 80}, "output_tokens": 1}, {**later, "output_tokens": 110})
    usage = read("anthropic", answer, streamed=True)
    assert (usage.input_tokens, usage.cache_write_tokens, usage.output_tokens) == (100, 80, 110)
    assert usage.breakdown is not None
    assert usage.breakdown.cache_write_1h_tokens == 80


@pytest.mark.parametrize("dialect", TOTAL)
def test_a_total_tells_what_the_sums_leave_out(dialect: str) -> None:
    """[fault M9] Output that was not shown; of Bedrock it was not read."""
    assert alike(dialect, report(dialect, total=410)).output_tokens == 310
    assert alike(dialect, report(dialect, total=150)) == usual(dialect)  # a slip


@pytest.mark.parametrize("dialect", TOTAL)
def test_of_a_total_and_one_side_the_other_is_the_rest(dialect: str) -> None:
    """[fault M4] And of a total alone the input is what the text leaves."""
    taken, made, _ = SUMS[dialect]
    given_in, given_out, _ = PARTS[dialect]
    assert alike(dialect, report(dialect, total=400, without=(made,))).output_tokens == 400 - given_in
    assert alike(dialect, report(dialect, total=400, without=(taken,))).input_tokens == 400 - given_out
    found = alike(dialect, report(dialect, total=400, without=(taken, made)))
    assert (found.input_tokens, found.output_tokens) == (400 - len(WORDS) // 4, len(WORDS) // 4)


@pytest.mark.parametrize("write", NOTHING.values(), ids=NOTHING)
def test_so_it_does_where_events_that_are_all_alike_are_read_together(write: Write) -> None:
    """[fault M4] Gemini's running reports, of which the last stands for those before it: a number that is no count stood for them, too."""
    [*_, answer] = [json.loads(document("gemini", report("gemini")))]
    del answer["candidates"][0]["finishReason"]
    odd = {**answer, "usageMetadata": answer["usageMetadata"] | {"candidatesTokenCount": write(80)}}
    end = {"candidates": [{"finishReason": "STOP", "index": 0}]}
    told = b"".join(map(event, [answer, answer, odd, end]))
    assert read("gemini", told, streamed=True) == usual("gemini")


# What clients of a vendor's own protocol see, to whom its answers pass


def door_of(dialect: str, *, streamed: bool) -> tuple[Door, bytes]:
    """The door that speaks a dialect, and a request at it."""
    said = [{"role": "user", "content": "Hi."}]
    if dialect == "anthropic":
        return MESSAGES_DOOR, json.dumps({"model": "m", "max_tokens": 4_000, "stream": streamed, "messages": said}).encode()
    if dialect == "responses":
        return RESPONSES_DOOR, json.dumps({"model": "m", "stream": streamed, "input": "Hi."}).encode()
    return GeminiDoor("m", stream=streamed), json.dumps({"contents": [{"role": "user", "parts": [{"text": "Hi."}]}]}).encode()


def shown(dialect: str, answer: bytes, *, streamed: bool) -> Json:
    """The last report in what such a client gets."""
    door, asked = door_of(dialect, streamed=streamed)
    request = door.read(asked)
    decoder = DIALECTS[dialect].decoder(request, Target("acme", "m-1", dialect), call_id="c", created=1, protocol=door.protocol)
    encoder = door.encoder(request, call_id="c", created=1)
    encoder.write(list(decoder.feed(answer)))
    if not decoder.done:
        encoder.write(list(decoder.end()))
    assert decoder.failure is None
    last = encoder.closing(decoder.closing("0.5"))
    trees = [json.loads(line.removeprefix(b"data: ")) for line in last.split(b"\n") if line.startswith((b"data: {", b"{"))]
    found = [tree.get("response", tree) for tree in trees]
    return next(told[name] for told in reversed(found) for name in ("usage", "usageMetadata") if name in told)


PASSING = ["anthropic", "responses", "gemini"]
ODD: dict[str, tuple[Write, ...]] = {
    "text": (str,),
    "decimals": (float,),
    "nothing": (),
    **{name: (write,) for name, write in NOTHING.items()},
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("dialect", PASSING)
def test_who_is_passed_an_answer_sees_the_tokens_that_are_billed(dialect: str, odd: str) -> None:
    """[fault M4] In numbers: a report that was none, or in text, was passed on beside a bill of what was counted."""
    usage = report(dialect, *ODD[odd]) if ODD[odd] else {}
    billed = read(dialect, document(dialect, usage), streamed=False)
    for streamed in (True, False):
        seen = shown(dialect, stream(dialect, usage) if streamed else document(dialect, usage), streamed=streamed)
        taken, made = (seen[name] for name in SUMS[dialect][:2])
        beside = (seen.get("cache_read_input_tokens") or 0, 0) if dialect == "anthropic" else (0, seen.get("thoughtsTokenCount", 0))
        assert (type(taken), type(made)) == (int, int)
        assert (taken + beside[0], made + beside[1]) == (billed.input_tokens, billed.output_tokens)


#: What vendors may write in place of a part of a sum.
ODD_PARTS: dict[str, Callable[[int], object]] = {**NOTHING, "larger than its whole": lambda _: 5_000}


@pytest.mark.parametrize("streamed", [False, True], ids=["document", "stream"])
@pytest.mark.parametrize("odd", [*ODD_PARTS, "no details"])
@pytest.mark.parametrize("dialect", PASSING)
def test_who_is_passed_an_answer_sees_the_parts_that_are_billed(dialect: str, odd: str, *, streamed: bool) -> None:
    """[fault M5] Sums were made true, and a cache of 5,000 tokens stood in an input of 100, or -20, or none where clients look for one."""
    write = ODD_PARTS.get(odd)
    usage = report(dialect)
    if write is None:
        usage = {name: value for name, value in usage.items() if name in SUMS[dialect]}
    else:
        parts = PARTS[dialect][2]
        usage |= counts({name: parts[name] for name in parts if name != "output_tokens_details"}, write)
    answer = stream(dialect, usage) if streamed else document(dialect, usage)
    seen, billed = shown(dialect, answer, streamed=streamed), read(dialect, answer, streamed=streamed)
    cached = {
        "anthropic": seen.get(READ) or 0,
        "gemini": seen.get("cachedContentTokenCount", 0),
        "responses": (seen.get("input_tokens_details") or {}).get("cached_tokens"),
    }[dialect]
    assert (type(cached), cached) == (int, billed.cached_tokens)
    if dialect == "responses":
        assert seen["output_tokens_details"]["reasoning_tokens"] == billed.reasoning_tokens
    whole = seen[SUMS[dialect][0]] + (cached if dialect == "anthropic" else 0)
    assert whole == billed.input_tokens


@pytest.mark.parametrize("odd", NOTHING)
@pytest.mark.parametrize("dialect", PASSING)
def test_who_is_passed_a_stream_sees_the_good_report_of_two(dialect: str, odd: str) -> None:
    """[fault M4] Zeros at the end were shown beside a bill of the report before them."""
    told = shown(dialect, stream(dialect, report(dialect), report(dialect, NOTHING[odd])), streamed=True)
    assert [told[name] for name in SUMS[dialect][:2]] == list(PARTS[dialect][:2])


BEHIND = {
    "an error": event({"error": {"code": 429, "message": "Rate limit reached", "status": "RESOURCE_EXHAUSTED"}}),
    "an error as a body": b'{"error":{"code":429,"message":"Rate limit reached"}}',
    "what cannot be read": b"data: <html>\n\n",
}


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("dialect", [name for name in SUMS if name != "bedrock"])  # whose streams are frames
def test_what_fails_behind_a_finish_and_its_report_takes_no_answer_back(dialect: str, behind: str) -> None:
    """[fault W2] It means that the vendor will say no more. Gemini's complete answers were errors then, to every client."""
    whole = stream(dialect, report(dialect)) + BEHIND[behind]
    assert read(dialect, whole, streamed=True) == usual(dialect)
    if dialect in PASSING:
        told = shown(dialect, whole, streamed=True)
        assert [told[name] for name in SUMS[dialect][:2]] == list(PARTS[dialect][:2])


@pytest.mark.parametrize("behind", BEHIND)
def test_what_fails_behind_a_finish_without_a_report_is_a_failure(behind: str) -> None:
    """Nobody has said what the answer cost, and more may have been to come."""
    answer = json.loads(document("gemini", {}))
    del answer["usageMetadata"]
    chat, target = parse_chat(body(stream=True)), Target("acme", "m-1", "gemini")
    decoder = DIALECTS["gemini"].decoder(chat, target, call_id="c", created=1, protocol=CHAT_DOOR.protocol)
    decoder.feed(event(answer) + BEHIND[behind])
    decoder.end()
    assert decoder.failure is not None


@pytest.mark.parametrize("protocol", [CHAT_DOOR.protocol, "gemini"])
def test_a_finish_that_nobody_knows_and_a_report_without_an_answer_are_a_failure_once(protocol: str) -> None:
    """[fault W3] Its end was taken for one that had told everything: the call was neither done nor failed, and its vendor asked again."""
    nothing = {"candidates": [{"finishReason": "WEARY", "index": 0}], "usageMetadata": {"promptTokenCount": 5, "totalTokenCount": 5}}
    chat, target = parse_chat(body(stream=True)), Target("acme", "m-1", "gemini")
    decoder = DIALECTS["gemini"].decoder(chat, target, call_id="c", created=1, protocol=protocol)
    decoder.feed(event(nothing))
    decoder.end()
    assert decoder.failure is not None
    assert not decoder.done


def test_a_responses_streams_end_says_what_it_took_whatever_was_guessed_before() -> None:
    """[fault M4] An estimate with which it began was billed where it was larger."""
    guessed = {"input_tokens": 900, "output_tokens": 1, "total_tokens": 901}
    assert read("responses", stream("responses", guessed, report("responses")), streamed=True) == usual("responses")


@pytest.mark.parametrize("odd", [{"output_tokens": 0}, {"total_tokens": "210"}, {"total_tokens": None}])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_responses_client_is_told_what_is_billed_though_it_sent_pictures(odd: Json, *, streamed: bool) -> None:
    """[fault M4] Tokens of pictures in the input were taken for those of a tool that draws, which stand beside a report."""
    usage = report("responses") | {"input_tokens_details": {"image_tokens": 40}} | odd
    answer = stream("responses", usage) if streamed else document("responses", usage)
    told, billed = shown("responses", answer, streamed=streamed), read("responses", answer, streamed=streamed)
    assert (told["input_tokens"], told["output_tokens"]) == (billed.input_tokens, billed.output_tokens)
    assert told["total_tokens"] == billed.input_tokens + billed.output_tokens
