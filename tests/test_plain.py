"""The quick ways, for chunks and answers of the common shapes, give what the slow way would, whatever is in them."""

from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from aisa.answer import Piece
from aisa.providers import openai
from aisa.providers.shape import Decoder, Target
from aisa.wire.chat import parse_chat
from aisa.wire.token_meter import TokenMeter
from rig import DONE, HEAD, OPENING, chunk, closing_of, content_of, events_of

TARGET = Target("local", "some-model", "openai")
TEXTS = st.lists(
    st.text(min_size=1) | st.sampled_from(['","usage":null', "\\", '"', '"content":"', "data: x", "\n\n", "é", "]}"]), max_size=12
)


def decoder_of(**options: object) -> Decoder:
    """A decoder for the answer to a request with these options."""
    request = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hi."}], **options}
    return openai.decoder(parse_chat(json.dumps(request).encode()), TARGET, call_id="1", created=1)


def decoded(reads: list[bytes], cost: str | None = None, **options: object) -> tuple[list[Piece], bytes]:
    """What becomes of the reads of a vendor's answer, and what is sent at the end."""
    decoder = decoder_of(**options)
    pieces: list[Piece] = []
    for data in reads:
        fed = decoder.feed(data)
        assert len(fed) <= 1
        pieces += fed
    pieces += decoder.end()
    assert decoder.failure is None
    return pieces, closing_of(decoder, cost)


def relayed(stream: bytes, **options: object) -> tuple[bytes, int]:
    """What a client gets of a vendor's stream, and the tokens counted in its pieces."""
    pieces, closing = decoded([stream], **options)
    return b"".join(piece.data for piece in pieces) + closing, sum(piece.tokens for piece in pieces)


@given(TEXTS, st.booleans(), st.booleans())
def test_every_text_arrives_as_it_was_sent(texts: list[str], null_usage: bool, asked: bool) -> None:
    """Quotes, escapes and bytes that look like our own framing are text like any other, with null usage or without."""
    more = {"usage": None} if null_usage else {}
    chunks = [{**HEAD, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], **more} for text in texts]
    for ascii_only, separators in ((True, None), (False, None), (True, (",", ":")), (False, (",", ":"))):
        written = [json.dumps(item, ensure_ascii=ascii_only, separators=separators).encode() for item in chunks]
        events = [b"data: " + event + b"\n\n" for event in written]
        sent, tokens = relayed(
            chunk(OPENING) + b"".join(events) + chunk({}, "stop") + DONE, stream_options={"include_usage": asked} if asked else None
        )
        assert content_of(sent) == "".join(texts)
        meter = TokenMeter()
        assert tokens == sum([meter.add_text(text) for text in texts])
        assert all(("usage" in item) is asked for item in events_of(sent) if isinstance(item, dict))


def test_text_after_a_finish_reason_comes_before_it_although_it_looks_like_the_text_before() -> None:
    """[fault W1] The quick way is closed once a finish is held back: nothing may overtake it, nothing is lost."""
    sent, tokens = relayed(
        chunk(OPENING) + chunk({"content": "aa"}) + chunk({"content": "bb"}) + chunk({}, "stop") + chunk({"content": "cc"}) + DONE
    )
    assert (content_of(sent), tokens) == ("aabbcc", 3)
    assert [item["choices"][0]["finish_reason"] for item in events_of(sent)[:-1]] == [None, None, None, None, "stop"]


def test_a_chunk_of_another_stream_among_familiar_ones_is_renamed() -> None:
    """One id per stream, even when a vendor changes it in the middle."""
    other = chunk({"content": "c"}).replace(b"chatcmpl-1", b"chatcmpl-2")
    sent, _ = relayed(chunk(OPENING) + chunk({"content": "a"}) + other + chunk({"content": "d"}) + chunk({}, "stop") + DONE)
    assert content_of(sent) == "acd"
    assert {item["id"] for item in events_of(sent) if isinstance(item, dict)} == {"chatcmpl-1"}


WORDS = st.sampled_from(["a", " b", "é", "語", "\\n", '"', " of plain text"])


@given(st.lists(WORDS, min_size=1, max_size=30), st.lists(st.integers(0, 4_000), max_size=4), st.booleans(), st.booleans())
def test_each_token_of_a_read_ends_where_its_own_event_does(words: list[str], cuts: list[int], ascii_only: bool, asked: bool) -> None:
    """Whatever one read brings leaves together, and yet a client that got half of it has exactly the tokens of whole events."""
    chunks = [{**HEAD, "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]} for word in words]
    written = [json.dumps(item, ensure_ascii=ascii_only, separators=(",", ":")).encode() for item in chunks]
    stream = chunk(OPENING) + b"".join(b"data: " + event + b"\n\n" for event in written)
    whole = stream + chunk({}, "stop") + DONE
    places = sorted({0, *[cut % len(whole) for cut in cuts], len(whole)})
    reads = [whole[begin:end] for begin, end in pairwise(places)]
    pieces, _ = decoded(reads, stream_options={"include_usage": asked})
    meter, left = TokenMeter(), iter(words)
    for piece in pieces:
        tokens, counts = 0, {}
        end = 0
        for event in piece.data.split(b"\n\n")[:-1]:
            end += len(event) + 2
            if b'"content":' in event.replace(b" ", b"") and b'"role"' not in event:
                tokens += meter.add_text(next(left))
                counts[end] = tokens
        assert piece.tokens == tokens
        known = dict(zip(piece.ends, piece.counts, strict=True))
        assert known == {place: counts[place] for place in known}
        growing = {place for place, before in zip(counts, [0, *counts.values()], strict=False) if counts[place] > before}
        assert growing <= known.keys() or len(counts) <= 1
    assert content_of(b"".join(piece.data for piece in pieces)) == "".join(words)


def values(data: bytes) -> list[object]:
    """The events of a stream, without the member that sends a chunk the slow way."""
    events = [item for item in events_of(data) if isinstance(item, dict)]
    return [{name: value for name, value in item.items() if name != "x_groq"} for item in events]


EDGES = st.fixed_dictionaries(
    {}, optional={"role": st.just("assistant"), "content": st.sampled_from(["", None]), "refusal": st.none(), "name": st.just("x")}
)
CHOICE = st.fixed_dictionaries({"index": st.sampled_from([0, 0, 0, 1, -1])}, optional={"logprobs": st.none(), "stop_reason": st.none()})
TOP = st.fixed_dictionaries({}, optional={"usage": st.none(), "system_fingerprint": st.just("fp"), "error": st.none()})
DETAILS = st.none() | st.dictionaries(st.sampled_from(["cached_tokens", "reasoning_tokens", "audio_tokens"]), st.sampled_from([0, 1, None]))
REPORT = st.fixed_dictionaries(
    {"prompt_tokens": st.integers(0, 9), "completion_tokens": st.integers(0, 9), "total_tokens": st.integers(0, 18)},
    optional={"prompt_tokens_details": DETAILS, "completion_tokens_details": DETAILS, "queue_time": st.just(0.5)},
)


@given(EDGES, EDGES, CHOICE, CHOICE, TOP, REPORT, st.booleans(), st.booleans())
@example({"role": "assistant", "content": ""}, {}, {"index": 0}, {"index": 0, "logprobs": None}, {}, {}, True, False)
def test_openings_finishes_and_reports_come_out_as_on_the_slow_way(
    opening: dict[str, object],
    ending: dict[str, object],
    first: dict[str, object],
    last: dict[str, object],
    top: dict[str, object],
    report: dict[str, object],
    asked: bool,
    text_between: bool,
) -> None:
    """With and without what vendors leave out or add, the client gets the same values and the bill the same counts."""

    def stream(more: dict[str, object]) -> bytes:
        between = [chunk({"content": "a"})] if text_between else []
        items = [
            {**HEAD, "choices": [{**first, "delta": opening, "finish_reason": None}], **top, **more},
            {**HEAD, "choices": [{**last, "delta": ending, "finish_reason": "stop"}], **top, **more},
            {**HEAD, "choices": [], "usage": report, **more},
        ]
        events = [b"data: " + json.dumps(item, separators=(",", ":")).encode() + b"\n\n" for item in items]
        return b"".join([events[0], *between, events[1], events[2], DONE])

    options = {"stream_options": {"include_usage": asked}}
    outcomes = []
    for more in ({}, {"x_groq": {"id": "1"}}):
        decoder = decoder_of(**options)
        pieces = decoder.feed(stream(more)) + decoder.end()
        sent = b"".join(piece.data for piece in pieces)
        closing = b"" if decoder.failure else closing_of(decoder, None)
        outcomes.append((values(sent + closing), str(decoder.failure), decoder.usage(), decoder.tokens))
    assert outcomes[0] == outcomes[1]


MESSAGES = st.fixed_dictionaries(
    {"role": st.just("assistant")},
    optional={
        "content": st.sampled_from(["é\\n", "", None]),
        "refusal": st.sampled_from([None, "No."]),
        "annotations": st.sampled_from([[], [{"type": "url_citation"}], None]),
        "reasoning_content": st.sampled_from(["Hm.", "", None]),
        "tool_calls": st.sampled_from(
            [[], None, [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}], [{"function": {"name": "f"}}]]
        ),
        "function_call": st.sampled_from([None, {"name": "f", "arguments": "{}"}]),
    },
)


@given(MESSAGES, st.booleans(), REPORT, st.sampled_from([None, "0.25"]))
def test_answers_that_lack_something_come_out_as_on_the_slow_way(
    message: dict[str, object], has_logprobs: bool, report: dict[str, object], cost: str | None
) -> None:
    """An unknown member beside the message takes the slow way; but for it the client gets the same."""
    outcomes = []
    for more in ({}, {"stop_reason": None}):
        choice = {"index": 0, "message": message, "finish_reason": "stop", **({"logprobs": None} if has_logprobs else {}), **more}
        body = json.dumps({**HEAD, "object": "chat.completion", "choices": [choice], "usage": report}).encode()
        _, closing = decoded([body], cost, stream=False)
        answer = json.loads(closing)
        answer["choices"][0].pop("stop_reason", None)
        answer["usage"] = {name: value for name, value in answer["usage"].items() if value != {}}  # which says nothing
        outcomes.append(answer)
    assert outcomes[0] == outcomes[1]
