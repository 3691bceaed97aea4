"""What streams and documents of translated dialects have in common, by a dialect that nobody speaks: ends, failures, bounds, parts."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from aisa.answer import Finish, Part, Report, Text
from aisa.providers.answer_builder import AnswerBuilder
from aisa.providers.continuation import Continuation
from aisa.providers.measure import Measure
from aisa.providers.shape import Target
from aisa.providers.typed_stream import ReportedStream, TypedDecoder, TypedDocument, TypedStream
from aisa.wire.chat import parse_chat
from aisa.wire.trees import Tree
from aisa.wire.vendor_error import VendorError

Json = dict[str, Any]
BYTES_MAX = 4_000


class Said:
    """Reads `{"say", "finish", "usage", "error", "end"}`; implements `typed_stream.ReportingReader`."""

    def __init__(self, builder: AnswerBuilder) -> None:
        self.ended = self.reported = False
        self._builder = builder
        self.taken = 0

    def take(self, event: Tree) -> None:
        """Tell what an event says."""
        self.taken += 1
        if "error" in event:
            raise VendorError(event["error"])
        self._builder.say(0, str(event.get("say") or ""))
        if "finish" in event:
            self._builder.finish(0, event["finish"])
        usage: Any = event.get("usage")
        if usage:
            self._builder.reported(usage)
        self.reported = self._builder.complete and bool(usage)
        self.ended = self.ended or "end" in event

    def end(self) -> None:
        """There is no more."""
        self.ended = True


class Rig:
    """A decoder of such an answer, and what it gave."""

    def __init__(self, kind: type[TypedDecoder] = TypedStream, measure: Measure | None = None) -> None:
        asked = {"model": "m", "messages": [{"role": "user", "content": "Hi."}], "stream": kind is not TypedDocument}
        target = Target("acme", "m-1", "typed", answer_bytes_max=BYTES_MAX, measure=measure or Measure())
        self.builder = AnswerBuilder(parse_chat(json.dumps(asked).encode()), target, ("TYPED", 7), by_pieces=True)
        self.reader = Said(self.builder)
        self.decoder: Any = kind(self.builder, self.reader, target)
        self.parts: list[Part] = []

    def read(self, *arrival: bytes, end: bool = True) -> Rig:
        """Feed it, as the path does."""
        for data in arrival:
            if not (self.decoder.done or self.decoder.failure):
                self.parts += self.decoder.feed(data)
        if end and not (self.decoder.done or self.decoder.failure):
            self.parts += self.decoder.end()
        return self

    @property
    def text(self) -> str:
        """What was said."""
        return "".join([part.text for part in self.parts if isinstance(part, Text)])

    @property
    def reasons(self) -> list[str]:
        """Why it ended."""
        return [part.reason for part in self.parts if isinstance(part, Finish)]

    @property
    def code(self) -> str:
        """The code of the failure; nothing of a good end."""
        failure = self.decoder.failure
        return "" if failure is None else str(failure.error.code)


def sse(*events: Json) -> bytes:
    """Write events."""
    return b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)


USAGE = {"usage": {"prompt_tokens": 3, "completion_tokens": 2}}
ONE, TWO, STOP, END = {"say": "one "}, {"say": "two"}, {"finish": "stop"}, {"end": True}


def test_a_stream_ends_where_its_vendor_says_so_or_finishes() -> None:
    """An end that is told leaves nothing to read; of one that just ends the finish is enough, and without it has been broken off."""
    told = Rig().read(sse(ONE, TWO, STOP, END, {"say": "behind"}), end=False)
    assert (told.decoder.done, told.text, told.reasons) == (True, "one two", ["stop"])
    ended = Rig().read(sse(ONE, STOP))
    assert (ended.decoder.done, ended.reasons) == (True, ["stop"])
    assert Rig().read(sse(ONE)).code == "upstream_unavailable"


def test_how_much_of_the_end_was_heard_is_told_while_it_is_waited_for() -> None:
    """[fault W2] 0 while the vendor is at work, then what grows with every event that says something."""
    rig = Rig().read(sse(ONE), end=False)
    seen = [rig.decoder.finishing]
    for event in (STOP, TWO):
        rig.read(sse(event), end=False)
        seen.append(rig.decoder.finishing)
    assert (seen[0], 0 < seen[1] < seen[2]) == (0, True)


def test_what_failed_gives_no_finish_and_takes_nothing_more() -> None:
    """[fault B5] In the same read, and in lines that should have been events."""
    for body in (
        sse(ONE, STOP, {"error": {"message": "m", "code": 500}}, TWO, END),
        b'data: {"say": "one "}\ndata: {"error": {"code": 500}}\ndata: {"say": "two"}\n\n',
    ):
        rig = Rig().read(body)
        assert (rig.text, rig.reasons, rig.code) == ("one ", [], "upstream_unavailable")
        assert not rig.decoder.done


def test_lines_that_should_have_been_events_end_where_the_answer_does() -> None:
    """What stands behind the end in the same block is not read."""
    rig = Rig().read(b'data: {"say": "one "}\ndata: {"finish": "stop"}\ndata: {"end": true}\ndata: {"say": "two"}\n\n')
    assert (rig.text, rig.reasons, rig.code) == ("one ", ["stop"], "")


@pytest.mark.parametrize(
    "nothing",
    [b"data: [DONE]\n\n", b"data: null\n\n", b": ping\n\n", b"\n\n", b"data: [DONE] \n\n", b'data: "[DONE]"\n\n', b"data: [done]\n\n"],
)
def test_signs_of_life_say_nothing(nothing: bytes) -> None:
    """Wherever they stand, and the end of another protocol too."""
    rig = Rig().read(nothing + sse(ONE) + nothing + sse(STOP) + nothing + sse(END))
    assert (rig.text, rig.reasons, rig.code, rig.reader.taken) == ("one ", ["stop"], "", 3)


def test_what_is_no_object_is_not_understood_unless_the_answer_was_cut_in_it() -> None:
    """An event that is whole and says nothing is the vendor's fault; half of one was broken off."""
    assert Rig().read(sse(ONE) + b"data: 7\n\n").code == "gateway_error"
    assert Rig().read(sse(ONE) + b'data: {"say": "tw').code == "upstream_unavailable"
    assert Rig().read(b'data: {"say": "tw').code == "upstream_unavailable"
    for other in (b"", b"<html></html>", b"{}", b"[]", b'{"some": "thing"}'):
        assert Rig().read(other).code == "gateway_error", other


def test_what_was_shown_or_reported_was_heard_though_it_is_no_stream() -> None:
    """An array of events that ends early is an answer that was broken off."""
    for events in ([ONE], [USAGE], [ONE, TWO]):
        assert Rig().read(json.dumps(events).encode()).code == "upstream_unavailable"
    whole = Rig().read(json.dumps([ONE, TWO, STOP]).encode())
    assert (whole.text, whole.reasons) == ("one two", ["stop"])


@pytest.mark.parametrize("kind", [TypedStream, TypedDocument])
def test_what_is_held_is_bounded_and_told(kind: type[TypedDecoder]) -> None:
    """Of an event that is not whole, of an array, and of a document."""
    for begun in (b'data: {"say": "', b'[{"say": "', b'{"say": "'):
        rig = Rig(kind).read(begun, b"x" * 100, end=False)
        assert rig.decoder.held_bytes >= 100
        assert rig.read(*[b"x" * 1_000] * 4, end=False).code == "gateway_error"


def test_an_event_that_is_too_large_behind_a_finished_answer_only_ends_it() -> None:
    """[fault W2] Where its report had come: nothing fails behind that, in a dialect whose streams just end."""
    large = b"data: " + b"x" * (BYTES_MAX + 10)
    rig = Rig(ReportedStream).read(sse(ONE, {**STOP, **USAGE}), large, end=False)
    assert (rig.reasons, rig.code, rig.decoder.done) == (["stop"], "", True)
    assert Rig(ReportedStream).read(sse(ONE, STOP), large, end=False).code == "gateway_error"
    told = Rig(ReportedStream).read(sse(ONE, {**STOP, **USAGE}, {"error": {"code": 500}}), end=False)
    assert (told.reasons, told.code, told.decoder.done) == (["stop"], "", True)


def test_a_document_is_told_whole_once_the_bill_is_settled() -> None:
    """No part leaves before, and none of them carries tokens: it is delivered whole or not at all."""
    rig = Rig(TypedDocument).read(json.dumps({**ONE, **STOP, **USAGE}).encode())
    assert (rig.parts, rig.decoder.tokens, rig.decoder.finished, rig.decoder.done) == ([], 0, False, True)
    closing = rig.decoder.closing("0.5")
    assert [part.text for part in closing if isinstance(part, Text)] == ["one "]
    assert [part.tokens for part in closing] == [0] * len(closing)
    assert [(part.usage.output_tokens, part.cost_usd) for part in closing if isinstance(part, Report)] == [(2, "0.5")]


def test_an_answer_that_came_whole_teaches_no_pieces() -> None:
    """[fault M7] Whether a document was asked for or came where a stream was."""
    text = {"say": "word " * 100, "finish": "stop", "usage": {"prompt_tokens": 3, "completion_tokens": 120}}
    for kind, body, pieces in (
        (TypedStream, sse(text), 1),
        (TypedStream, b"[%b]" % json.dumps(text).encode(), 0),
        (TypedDocument, json.dumps(text).encode(), 0),
    ):
        measure = Measure()
        Rig(kind, measure).read(body)
        assert [answer.pieces for answer in measure.answers] == [pieces]


def wanted() -> Continuation:
    """What says that the vendor is to be asked for the rest."""
    going = Continuation("more")
    going.note("there is more")
    assert going.want()
    return going


@pytest.mark.parametrize("kind", [TypedStream, TypedDocument])
def test_the_rest_of_an_answer_is_read_as_a_body_of_its_own(kind: type[TypedDecoder]) -> None:
    """Nothing of the first part is read again, and a part that failed is not gone on from."""

    def write(*events: Json) -> bytes:
        return (
            sse(*events) if kind is TypedStream else json.dumps({name: value for event in events for name, value in event.items()}).encode()
        )

    rig = Rig(kind)
    rig.decoder.continuation = wanted()
    rig.read(write(ONE))
    assert (rig.decoder.done, rig.code) == (False, "")
    rig.decoder.continuation = None
    rig.read(write({**TWO, **STOP}))
    parts = rig.parts if kind is TypedStream else rig.decoder.closing(None)
    assert "".join([part.text for part in parts if isinstance(part, Text)]) == "one two"
    failed = Rig(kind)
    failed.decoder.continuation = wanted()
    failed.read(write(ONE, {"error": {"code": 500}}))
    assert failed.code == "upstream_unavailable"


def chunked(body: bytes, size: int) -> Iterable[bytes]:
    """Cut a body."""
    return (body[at : at + size] for at in range(0, len(body), size))


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_how_the_bytes_arrive_makes_no_difference(size: int) -> None:
    """A byte order mark, an array, lines that end otherwise."""
    for body in (b"\xef\xbb\xbf" + sse(ONE, TWO, STOP), json.dumps([ONE, TWO, STOP]).encode(), sse(ONE, TWO, STOP).replace(b"\n", b"\r\n")):
        whole, cut = Rig().read(body), Rig().read(*chunked(body, size))
        assert (cut.text, cut.reasons, cut.code) == (whole.text, whole.reasons, whole.code) == ("one two", ["stop"], "")
