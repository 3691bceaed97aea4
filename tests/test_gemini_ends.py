"""How Gemini's streams end: what is told before an end that comes early and behind one, and what a client of its own door is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from aisa.answer import Piece
from aisa.providers import gemini
from aisa.providers.continuation import Continuation
from aisa.providers.port import UpstreamRequest
from aisa.providers.shape import Decoder, Target, continued
from aisa.wire.chat import parse_chat
from aisa.wire.chat_door import CHAT_DOOR
from aisa.wire.gemini_door import GeminiDoor
from rig import body, event

Json = dict[str, Any]
TARGET = Target("acme", "m-1", "gemini")
FAILED: Json = {"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}


def used(made: int) -> Json:
    """A report of ten tokens of input and some of output."""
    return {"promptTokenCount": 10, "candidatesTokenCount": made, "totalTokenCount": 10 + made}


def said(text: str | None, reason: str | None = None, report: Json | None = None, **members: Any) -> Json:
    """An event; one with a text, a report and no finish is of the plain shape."""
    candidate: Json = {"content": {"role": "model", "parts": [] if text is None else [{"text": text}]}, "index": 0}
    candidate |= {"finishReason": reason} if reason else {}
    told = {} if report is None else {"usageMetadata": report}
    return {"candidates": [candidate], "modelVersion": "m-1", "responseId": "r1", **told, **members}


def decoder_for(protocol: str = CHAT_DOOR.protocol) -> Decoder:
    """What reads a stream for a client of a door."""
    made: Decoder = gemini.decoder(parse_chat(body(stream=True)), TARGET, call_id="c", created=1, protocol=protocol)
    return made


def read(*events: Json, protocol: str = CHAT_DOOR.protocol) -> Decoder:
    """Read a stream to its end."""
    decoder = decoder_for(protocol)
    for each in events:
        decoder.feed(event(each))
    decoder.end()
    return decoder


EARLY = {"with a report": said(None, "STOP", used(0)), "without one": said(None, "STOP")}
LATER = {"plainly": {}, "and more": {"brand_new": 1}}


@pytest.mark.parametrize("more", LATER)
@pytest.mark.parametrize("early", EARLY)
def test_what_fails_behind_text_that_came_after_an_early_finish_is_a_failure(early: str, more: str) -> None:
    """[fault W2] Gateways send an empty finish before the text: a failure behind that text was taken for the end of a whole answer."""
    text = [said("one ", None, used(1), **LATER[more]), said("two ", None, used(2), **LATER[more])]
    failed = read(EARLY[early], *text, FAILED)
    assert failed.failure is not None
    assert read(EARLY[early], *text, said(None, "MALFORMED_FUNCTION_CALL", used(2))).failure is not None
    complete = read(EARLY[early], *text, {"usageMetadata": used(2)}, FAILED)
    assert (complete.done, complete.failure) == (True, None)


@pytest.mark.parametrize("last", [{}, None])
def test_an_empty_report_at_the_end_takes_none_that_came_before_away(last: Json | None) -> None:
    """[fault M4] Behind reports that were not read yet it replaced them, and the bill was our own count: 1 and 2 here."""
    usage = read(said("one ", None, used(1)), said("two ", None, used(2)), said(None, "STOP", last)).usage()
    assert (usage.input_tokens, usage.output_tokens) == (10, 2)


def test_what_never_ends_behind_a_reported_answer_is_not_kept() -> None:
    """It is over, whatever its vendor goes on to send: what came was held without a bound."""
    decoder = decoder_for()
    decoder.feed(event(said("one ", "STOP", used(1))))
    piece = b"x" * 1_000_000
    fed = 0
    while not decoder.done and fed <= TARGET.answer_bytes_max + 2 * len(piece):
        decoder.feed(b"data: " + piece)
        fed += len(piece)
    assert decoder.done
    assert decoder.failure is None


@pytest.mark.parametrize(
    "last",
    [
        {"promptTokenCount": 10, "thoughtsTokenCount": 3},
        used(-1) | {"thoughtsTokenCount": 9},
        used(10**12),
        used(12) | {"totalTokenCount": "22"},
        {},
    ],
)
def test_a_client_of_its_own_door_is_told_what_is_billed_whatever_the_last_report_says(last: Json) -> None:
    """[fault M4] A last report of less, or of what is no count, stood beside a bill of what was said before."""
    decoder = read(
        said("some words ", None, used(6)), said("and more", None, used(12)), said(None, "STOP", last), protocol=GeminiDoor.protocol
    )
    usage = decoder.usage()
    assert usage.output_tokens == 12
    [piece] = decoder.closing(None)
    assert isinstance(piece, Piece)
    told = json.loads(piece.data.removeprefix(b"data: "))["usageMetadata"]
    assert told["promptTokenCount"] == usage.input_tokens
    assert told["candidatesTokenCount"] + told.get("thoughtsTokenCount", 0) == usage.output_tokens
    assert told["totalTokenCount"] == usage.input_tokens + usage.output_tokens


def test_a_part_whose_total_is_of_less_says_nothing_of_where_its_thinking_is() -> None:
    """[fault M4] The sum of totals, of which one was missing, said that thinking is inside what was made: it was not billed."""
    parts = Continuation("continuationToken")
    parts.note("t1")
    parts.used({"promptTokenCount": 10, "candidatesTokenCount": 2, "totalTokenCount": 12})
    parts.used({"promptTokenCount": 10, "candidatesTokenCount": 30, "thoughtsTokenCount": 10})
    assert parts.want()
    parts.request(UpstreamRequest("/x", (), b"{}"))
    whole = parts.used({"promptTokenCount": 10, "candidatesTokenCount": 30, "thoughtsTokenCount": 7, "totalTokenCount": 47})
    assert whole == {"promptTokenCount": 20, "candidatesTokenCount": 60, "thoughtsTokenCount": 17}


def test_nobody_is_asked_for_the_rest_of_an_answer_that_did_not_say_that_it_goes_on() -> None:
    """Whatever a decoder forgets: a vendor that is asked again without end is paid without end."""
    decoder = decoder_for()
    with pytest.raises(AssertionError):
        continued(decoder, UpstreamRequest("/x", (), b"{}"))
